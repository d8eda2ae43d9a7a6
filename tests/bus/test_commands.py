from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client

from contracts.problems import Refused
from contracts.projects import project_id
from services.commands.message import Asked
from services.commands.queue import _identity
from services.edge.bodies import decode
from services.runtime.nats.embedded import EmbeddedNats
from tests.bus.conftest import Connect
from tests.bus.stack import Stack, commands, stack, training
from tests.bus.waiting import becomes_true, eventually

ISSUE_TOKEN = json.dumps({"owner": "x", "role": "admin", "digest": "0" * 64}).encode()
TOO_LARGE = json.dumps({"name": "x" * 1_048_576}).encode()


@pytest.fixture
async def served(parts: Stack) -> AsyncIterator[Stack]:
    async with commands(parts), training(parts):
        yield parts


def project_body(name: str, **fields: object) -> bytes:
    body = {"name": name, "owner": "alice", "dataset_name": "d", "training_yaml_name": "c"} | fields
    return json.dumps(body).encode()


async def outcome_of(parts: Stack, user: str, key: str) -> Any:
    """What became of a queued command, waited for."""
    caller = await parts.caller(user)
    return await eventually(lambda: _settled(parts, caller, key))


async def _settled(parts: Stack, caller: Any, key: str) -> Any:
    try:
        outcome = await parts.intake.outcome(caller, key)
    except Refused as refused:
        if refused.code != "command_not_found":
            raise
        return None
    return None if outcome.status in ("at_work", "unsettled") else outcome


async def test_a_plain_client_starts_a_run_by_request(
    served: Stack, server: EmbeddedNats, seeds: Callable[[str], Path]
) -> None:
    project = f"项目 {uuid4()}"
    client = await nats.connect(str(server.url), nkeys_seed=str(seeds("alice")))
    created = json.loads((await client.request("ask.alice.projects.CreateProject", project_body(project), 5)).data)
    assert created["status"] == "accepted"
    assert created["result"]["name"] == project
    reply = await client.request(
        "ask.alice.runs.StartRun", json.dumps({"project": project}).encode(), 5, headers={"command-id": "first"}
    )
    started = json.loads(reply.data)
    assert started["result"]["status"] == "running"
    again = await client.request(
        "ask.alice.runs.StartRun", json.dumps({"project": project}).encode(), 5, headers={"Command-Id": "first"}
    )
    assert json.loads(again.data) == started
    await client.close()


async def test_a_plain_client_starts_a_run_by_the_queue(
    served: Stack, server: EmbeddedNats, seeds: Callable[[str], Path]
) -> None:
    project, key = f"queued {uuid4()}", str(uuid4())
    client = await nats.connect(str(server.url), nkeys_seed=str(seeds("alice")))
    await client.request("ask.alice.projects.CreateProject", project_body(project), 5)
    body = json.dumps({"project": project}).encode()
    for _ in range(3):
        await client.jetstream().publish("commands.alice.runs.StartRun", body, headers={"command-id": key})
    outcome = await outcome_of(served, "alice", key)
    assert outcome.status == "accepted"
    recorded = await eventually(lambda: _launched(served, outcome.aggregate_id))
    assert recorded[0].meta.origin.actor == str(await served.people.find("alice"))
    await eventually(lambda: _drained(served))
    reply = await client.request("ask.alice.runs.StartRun", body, 15, headers={"command-id": key})
    assert json.loads(reply.data)["aggregate_id"] == str(outcome.aggregate_id)  # its outcome, and no second run
    assert len(await _launched(served, outcome.aggregate_id)) == 3
    await client.close()


async def _launched(parts: Stack, run_id: Any) -> Any:
    recorded = await parts.log.read("runs", run_id)
    return recorded if len(recorded) == 3 else None


async def _drained(parts: Stack) -> bool:
    return (await parts.nc.jetstream().stream_info("COMMANDS")).state.messages == 0


async def test_nobody_speaks_for_another(served: Stack, connect: Connect) -> None:
    violations: list[str] = []

    async def on_error(error: Exception) -> None:
        violations.append(str(error))

    alice = await connect("alice", error_cb=on_error)
    name = f"forged {uuid4()}"
    for subject in ("ask.bob.projects.CreateProject", "commands.bob.projects.CreateProject", "events.projects.x"):
        with pytest.raises(nats.errors.TimeoutError):
            await alice.request(subject, project_body(name), 0.2)
    await becomes_true(lambda: len(violations) >= 3)
    assert all("permissions violation" in violation.lower() for violation in violations)
    assert not await served.log.read("projects", project_id(name))
    # A header names nobody.
    headers = {"actor": "bob", "X-Actor": "bob", "ce-actor": "bob", "user": "bob"}
    await alice.request("ask.alice.projects.CreateProject", project_body(name), 5, headers=headers)
    recorded = await served.log.read("projects", project_id(name))
    assert recorded[0].meta.origin.actor == str(await served.people.find("alice"))


@pytest.mark.parametrize("reply", ["events.runs.forged", "commands.bob.runs.StartRun", "ask.bob.tokens.IssueToken"])
async def test_a_reply_subject_forges_nothing(served: Stack, connect: Connect, reply: str) -> None:
    """The server and we answer to whatever subject a request names; in its own account it reaches nobody."""
    alice = await connect("alice")
    js = served.nc.jetstream()
    heard: list[str] = []

    async def on_message(message: Any) -> None:
        heard.append(message.subject)

    for subject in ("ask.bob.>", "commands.bob.>", "events.runs.forged"):
        await served.nc.subscribe(subject, cb=on_message)
    await served.nc.flush()
    for subject in (
        "commands.alice.runs.StartRun",
        "ask.alice.runs.StartRun",
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.user-alice",
        "$SRV.PING",
    ):
        await alice.publish(subject, b"1", reply=reply)
    # Answered in order: what came before was handled.
    await alice.request("ask.alice.projects.CreateProject", project_body(f"after {uuid4()}"), 5)
    await eventually(lambda: _drained(served))
    assert heard == []
    with pytest.raises(nats.js.errors.NotFoundError):
        await js.get_last_msg("EVENTS", "events.runs.forged")


async def test_a_user_reads_facts_by_a_consumer_of_its_own_and_makes_none(served: Stack, connect: Connect) -> None:
    alice = await connect("alice")
    await alice.request("ask.alice.projects.CreateProject", project_body(f"read {uuid4()}"), 5)
    js = alice.jetstream(timeout=0.3)
    mine = await js.pull_subscribe_bind(consumer="user-alice", stream="EVENTS")
    message = (await mine.fetch(1, timeout=60))[0]
    assert message.headers is not None
    assert message.headers["ce-specversion"] == "1.0"
    await message.ack_sync(timeout=60)
    another = await js.pull_subscribe_bind(consumer="user-bob", stream="EVENTS")
    with pytest.raises(nats.errors.TimeoutError):
        await another.fetch(1, timeout=0.3)
    for subject in ("$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.STREAM.DELETE.EVENTS", "$KV.NATS_USERS.alice"):
        with pytest.raises(nats.errors.TimeoutError):
            await alice.request(subject, b"{}", 0.3)


async def test_nobody_enters_without_a_key(server: EmbeddedNats) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(str(server.url)).port)
    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"INFO ")
        writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
        assert b"Authorization Violation" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_refusals_are_outcomes_with_the_headers_of_the_services_framework(
    served: Stack, connect: Connect
) -> None:
    alice = await connect("alice")
    cases = [
        ("projects.ArchiveProject", json.dumps({"project": "nowhere"}).encode(), "project_not_found", "404"),
        ("projects.CreateProject", b"{", "invalid_body", "422"),
        ("projects.CreateProject", TOO_LARGE, "body_too_large", "413"),
        ("projects.CreateProject", project_body("x", nmae="y"), "invalid_body", "422"),
        ("projects.CreateProject", b"\xff\xfe", "invalid_body", "422"),
        ("tokens.IssueToken", ISSUE_TOKEN, "forbidden", "403"),
    ]
    for name, body, code, status in cases:
        for language, said in (("en-US,en;q=0.9", str.isascii), ("zh-CN", lambda text: not text.isascii())):
            reply = await alice.request(f"ask.alice.{name}", body, 5, headers={"accept-language": language})
            assert reply.headers is not None
            assert (reply.headers["Nats-Service-Error-Code"], reply.headers["Nats-Service-Error"]) == (status, code)
            outcome = json.loads(reply.data)
            assert (outcome["status"], outcome["problem"]["code"]) == ("refused", code)
            assert said(outcome["problem"]["detail"])
    rita = await connect("rita")
    reply = await rita.request("ask.rita.projects.CreateProject", project_body("rita's"), 5)
    assert json.loads(reply.data)["problem"]["code"] == "forbidden"
    with pytest.raises(nats.errors.NoRespondersError):
        await alice.request("ask.alice.runs.AssignRun", b"{}", 5)


async def test_the_service_is_discoverable(served: Stack, connect: Connect) -> None:
    alice = await connect("alice")
    information = json.loads((await alice.request("$SRV.INFO.trainledger", b"", 5)).data)
    endpoints = {endpoint["subject"]: endpoint for endpoint in information["endpoints"]}
    start = endpoints["ask.*.runs.StartRun"]
    assert start["metadata"]["role"] == "operator"
    assert "StartRun" in json.loads(start["metadata"]["schema"])["$defs"]
    stats = json.loads((await alice.request("$SRV.STATS.trainledger", b"", 5)).data)
    assert {endpoint["name"] for endpoint in stats["endpoints"]} >= {"StartRun", "CreateProject"}


@pytest.mark.parametrize(
    ("subject", "body", "code", "context"),
    [
        ("commands.alice.projects.CreateProject", b"{", "invalid_body", "projects"),
        ("commands.alice.projects.CreateProject", b"\xff", "invalid_body", "projects"),
        ("commands.alice.projects.Obliterate", b"{}", "unknown_command", "unknown"),
        ("commands.alice.runs.AssignRun", b"{}", "unknown_command", "unknown"),
        ("commands.alice.projects.CreateProject", TOO_LARGE, "body_too_large", "projects"),
        ("commands.alice.tokens.IssueToken", ISSUE_TOKEN, "forbidden", "tokens"),
        ("commands.alice.x", b"{}", "not_found", "unknown"),
    ],
)
async def test_what_cannot_be_handled_is_a_dead_letter(
    served: Stack, connect: Connect, subject: str, body: bytes, code: str, context: str
) -> None:
    key = str(uuid4())
    alice = await connect("alice")
    headers = {"command-id": key, "Nats-Expected-Stream": "COMMANDS", "note": "备注"}
    await alice.jetstream().publish(subject, body, headers=headers)
    letter = await eventually(lambda: _letter(served, context, key))
    assert letter.data == body
    assert letter.headers["dead-letter-subject"] == subject
    assert letter.headers["dead-letter-code"] == code
    assert json.loads(letter.headers["dead-letter-headers"])["note"] == "备注"
    await eventually(lambda: _drained(served))
    if subject.count(".") == 3:
        outcome = await outcome_of(served, "alice", key)
        assert (outcome.status, outcome.problem.code) == ("refused", code)


async def _letter(parts: Stack, context: str, key: str) -> Any:
    try:
        letter = await parts.nc.jetstream().get_last_msg("DEADLETTERS", f"deadletters.{context}")
    except nats.js.errors.NotFoundError:
        return None
    assert letter.headers is not None
    return letter if key in letter.headers["dead-letter-headers"] else None


async def test_a_decision_against_a_queued_command_is_its_outcome_and_no_dead_letter(
    served: Stack, connect: Connect
) -> None:
    alice, key = await connect("alice"), str(uuid4())
    before = (await served.nc.jetstream().stream_info("DEADLETTERS")).state.last_seq
    body = json.dumps({"project": "nowhere"}).encode()
    await alice.jetstream().publish("commands.alice.projects.ArchiveProject", body, headers={"command-id": key})
    outcome = await outcome_of(served, "alice", key)
    assert outcome.problem.code == "project_not_found"
    await eventually(lambda: _drained(served))
    assert (await served.nc.jetstream().stream_info("DEADLETTERS")).state.last_seq == before


async def test_one_users_message_id_does_not_swallow_anothers(served: Stack, connect: Connect) -> None:
    alice, bob = await connect("alice"), await connect("bob")
    key, names = str(uuid4()), [f"{user} {uuid4()}" for user in ("alice", "bob")]
    await alice.jetstream().publish(
        "commands.alice.projects.CreateProject", project_body(names[0]), headers={"Nats-Msg-Id": key}
    )

    async def stored() -> bool:
        """The server's own window cannot be shorter than 0.1 s; `command-id` has none."""
        ack = await bob.jetstream().publish(
            "commands.bob.projects.CreateProject", project_body(names[1]), headers={"Nats-Msg-Id": key}
        )
        return not ack.duplicate

    await eventually(stored)
    for user, name in zip(("alice", "bob"), names, strict=True):
        assert (await outcome_of(served, user, key)).aggregate_id == project_id(name)


async def test_a_message_that_was_handled_and_not_acknowledged_is_handled_once(parts: Stack, connect: Connect) -> None:
    """As after a kill between the outcome and the acknowledgement: another process gets it again."""
    alice: Client = await connect("alice")
    name = f"again {uuid4()}"
    async with commands(parts):
        pass  # makes the consumer
    await alice.jetstream().publish("commands.alice.projects.CreateProject", project_body(name))
    consumer = await parts.nc.jetstream().pull_subscribe_bind(consumer="commands", stream="COMMANDS")
    message = (await consumer.fetch(1, timeout=60))[0]
    asked = Asked.of(message.subject, message.headers, message.data)
    caller = await parts.caller()
    identity = _identity(message, asked, caller)
    await parts.intake.handle(asked.command(decode, 1_048_576), caller, identity=identity)
    await message.nak()
    await consumer.unsubscribe()
    before = await parts.log.last_position()
    async with stack(await connect()) as other, commands(other):
        await eventually(lambda: _drained(parts))
    assert await parts.log.last_position() == before
    assert len(await parts.log.read("projects", project_id(name))) == 1
