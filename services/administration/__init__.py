"""What an administrator does from the command line, each action over a short connection of its own."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client

from contracts.problems import Refused
from contracts.subjects import PROJECTED
from contracts.tokens import IssueToken, RevokeToken
from events.event import Origin
from events.log.jetstream import JetStreamLog
from events.log.streams import ledger_id
from events.tokens import Token, TokenFact
from services.administration import logs
from services.deployment.main import run as deploy
from services.deployment.stop_all import stop_all_deployments
from services.preparing import prepare
from services.runtime import wiring
from services.runtime.commands import TOKENS
from services.runtime.dispatch import Dispatch
from services.runtime.gathering.sources import Sources
from services.runtime.handover import ensure_directories
from services.runtime.nats import accounts as nats_accounts
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.nats.roles import announce_users
from services.runtime.nodes.asking import Nodes
from services.runtime.people import People
from services.runtime.process import Main
from services.runtime.settings import SettingRefused, Settings
from services.runtime.told_command import told_command
from services.serve.data_dir import Lock, running_deployments, running_trainings
from services.training.main import run as train
from services.training.stop_all import stop_all_runs

_ACTOR = "service:command-line"
_ALL_END_WITHIN = 120.0
Action = Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, int]]


class _Ledger(msgspec.Struct, frozen=True):
    log: JetStreamLog
    people: People
    dispatch: Dispatch


class _Issued(NamedTuple):
    token: Token
    at: datetime


async def token_add(settings: Settings, given: argparse.Namespace) -> int:
    text = "tl_" + secrets.token_urlsafe(32)
    async with _ledger(settings) as ledger:
        digest = hashlib.sha256(text.encode()).hexdigest()
        command = IssueToken(owner=given.name, role=given.role, digest=digest, may_reveal=given.may == "reveal")
        made = await ledger.dispatch(command, _origin())
        tokens = await _tokens(ledger.log)
    owner = tokens[made.aggregate_id].token.owner
    active = sum(not of.token.revoked and of.token.owner == owner for of in tokens.values())
    print(f"Token {made.aggregate_id} of {given.name}, role {given.role}. It is shown only now:", file=sys.stderr)
    print(text)
    if active > 1:
        told = told_command("token list", settings.data_dir)
        print(f"{given.name} has {active} active tokens now, see {told}.", file=sys.stderr)
    return 0


async def token_list(settings: Settings, _: argparse.Namespace) -> int:
    async with _ledger(settings) as ledger:
        for token_id, (token, made_at) in (await _tokens(ledger.log)).items():
            owner = (token.owner and await ledger.people.name(token.owner)) or "(erased)"
            may = "reveal" if token.may_reveal else ""
            state = "revoked" if token.revoked else "active"
            print(f"{token_id}  {made_at:%Y-%m-%d %H:%M:%S}Z  {token.role:<8}  {may:<6}  {state:<7}  {owner}")
    return 0


async def token_revoke(settings: Settings, given: argparse.Namespace) -> int:
    try:
        token_id = UUID(given.id)
    except ValueError:
        raise Refused("token_not_found", id=given.id) from None
    async with _ledger(settings) as ledger:
        await ledger.dispatch(RevokeToken(token_id=token_id), _origin())
    print(f"Token {token_id} is revoked.")
    return 0


async def nats_user_add(settings: Settings, given: argparse.Namespace) -> int:
    nats = _embedded(settings)
    seed_file = nats_accounts.add_user(nats.users, given.name, given.role)
    await _announce(settings, nats)
    print(f"User {given.name}, role {given.role}; the nkey seed to sign in with is in {seed_file}")
    return 0


async def nats_user_list(settings: Settings, _: argparse.Namespace) -> int:
    for user in _embedded(settings).users.all():
        print(f"{user.name:<24}  {user.role or 'built in':<8}  {user.nkey}")
    return 0


async def nats_user_remove(settings: Settings, given: argparse.Namespace) -> int:
    nats = _embedded(settings)
    if not nats_accounts.remove_user(nats.users, given.name):
        print(f"There is no user {given.name}.", file=sys.stderr)
        return 1
    await _announce(settings, nats)
    print(f"User {given.name} is removed.")
    return 0


async def person_erase(settings: Settings, given: argparse.Namespace) -> int:
    """By the right to delete messages, which no running service has."""
    async with _ledger(settings) as ledger, wiring.bus(settings, "command line", admin=True, patience=5) as nc:
        who = await ledger.people.find(given.who)
        if who is None:
            with suppress(ValueError):
                who = UUID(given.who)
        if who is None or not await ledger.people.erase(who, nc.jetstream()):
            print(f"Nobody is known as {given.who}.", file=sys.stderr)
            return 1
    print("The name is erased. It still stands in backups, and in what others wrote down.")
    return 0


async def rebuild(settings: Settings, _: argparse.Namespace) -> int:
    from projections.ownership import rebuild as rebuild_tables  # the only action with a database

    async with _nats(settings), wiring.bus(settings, "rebuild") as nc:
        ledger = str(await ledger_id(nc.jetstream()))
        with wiring.database(settings) as database:
            await asyncio.to_thread(rebuild_tables, database, ledger)
        await nc.publish(PROJECTED, b"0")  # so that no edge takes them to be where they were
        await nc.flush()
    print("The read models are empty, and the projector fills them again.")
    return 0


async def end_all(settings: Settings, _: argparse.Namespace) -> int:
    """Ends the trainings and deployments of this data directory by their services, run here where nobody serves it."""
    served = settings.nats_url is not None or Lock(settings.data_dir).holder() is not None
    nothing = f"No training and no deployment of {settings.data_dir} is running."
    if not (served or running_trainings(settings.data_dir) or running_deployments(settings.data_dir)):
        print(nothing)
        return 0
    async with _ledger(settings) as ledger, _running(() if served else (train, deploy), settings):
        what = (ledger.log, ledger.dispatch, settings.data_dir, _ACTOR, _ALL_END_WITHIN)
        runs, deployments = await asyncio.gather(stop_all_runs(*what), stop_all_deployments(*what))
    ends = (("training", runs), ("deployment", deployments))
    for kind, over in ends:
        for identity in (identity for identity, ended in over.items() if not ended):
            print(f"{kind.capitalize()} {identity} does not end.", file=sys.stderr)
    ended = [_counted(number, kind) for kind, over in ends if (number := sum(over.values()))]
    if ended or not (runs or deployments):
        print(f"Ended {' and '.join(ended)}." if ended else nothing)
    return 0 if all((*runs.values(), *deployments.values())) else 1


ACTIONS: dict[str, Action] = {
    "token_add": token_add,
    "token_list": token_list,
    "token_revoke": token_revoke,
    "nats_user_add": nats_user_add,
    "nats_user_list": nats_user_list,
    "nats_user_remove": nats_user_remove,
    "person_erase": person_erase,
    "rebuild": rebuild,
    "logs_refill": logs.refill,
    "logs_show": logs.show,
    "end_all": end_all,
}


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[_Ledger]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_nats(settings))
        nc: Client = await stack.enter_async_context(wiring.bus(settings, "command line", patience=5))
        log, people, nodes = JetStreamLog(nc), People(nc), Nodes(nc)
        for part in (people, nodes):
            stack.push_async_callback(part.stop)
            await part.start()
        sources = Sources(
            log=log,
            people=people,
            nodes=nodes,
            start_command_template=settings.start_command_template,
            allow_start_command=settings.allow_start_command,
        )
        yield _Ledger(log, people, Dispatch(sources))


@asynccontextmanager
async def _nats(settings: Settings) -> AsyncIterator[None]:
    """Sees to it that the embedded server runs, as the first token is made before anything can be served to others."""
    lock = Lock(settings.data_dir)
    if settings.nats_url is not None or lock.holder() is not None:
        yield
        return
    ensure_directories(settings)
    lock.take()
    nats = EmbeddedNats(settings.data_dir, settings.nats_port)
    try:
        await asyncio.to_thread(nats.end_left_behind)
        await asyncio.to_thread(nats.start)
        while not await asyncio.to_thread(nats.answers):
            if nats.exit_code() is not None:
                raise SettingRefused(f"nats-server does not start: {nats.last_words()}.")
            await asyncio.sleep(0.02)
        await prepare(settings)
        yield
    finally:
        await asyncio.to_thread(nats.stop)
        lock.release()


@asynccontextmanager
async def _running(services: Sequence[Main], settings: Settings) -> AsyncIterator[None]:
    """Where one of them ends with an error, so does what they run for."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(service(settings)) for service in services]
            yield
            for task in running:
                task.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _origin() -> Origin:
    return Origin(actor=_ACTOR, command_id=uuid4())


def _embedded(settings: Settings) -> EmbeddedNats:
    if settings.nats_url is not None:
        raise SettingRefused("NATS_URL names a server of its own: its users are made where it is configured.")
    return EmbeddedNats(settings.data_dir)


async def _announce(settings: Settings, nats: EmbeddedNats) -> None:
    """A server that runs learns of changed users now, one that does not at its next start."""
    if nats.reload():
        async with wiring.bus(settings, "command line", patience=5) as nc:
            await announce_users(nc, nats.users.all())


async def _tokens(log: JetStreamLog) -> dict[UUID, _Issued]:
    """In the order in which they were made."""
    contexts = (TokenFact.context,)
    last = await log.last_position(contexts)
    tokens: dict[UUID, _Issued] = {}
    if not last:
        return tokens
    async for batch in log.follow(0, contexts):
        for recorded in batch:
            token_id = recorded.meta.aggregate_id
            before = tokens.get(token_id, _Issued(TOKENS.initial, recorded.meta.time))
            tokens[token_id] = before._replace(token=TOKENS.evolve(before.token, recorded.fact))
        if batch[-1].meta.position >= last:
            break
    return tokens
