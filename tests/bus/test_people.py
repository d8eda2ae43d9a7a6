from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from events.log import LogUnavailable
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.people import People
from tests.bus.conftest import Connect
from tests.bus.stack import Stack
from tests.bus.waiting import becomes_true


async def test_a_person_is_entered_once_whoever_asks(parts: Stack, connect: Connect) -> None:
    other = People(await connect())
    await other.start()
    name = f"张三 {uuid4()}"
    ids = await asyncio.gather(*(people.ensure(name) for people in (parts.people, other) * 20))
    assert len(set(ids)) == 1
    assert parts.people.name_of(ids[0]) == name
    assert await other.name(ids[0]) == name
    await other.stop()


async def test_spellings_of_one_name_are_one_person(parts: Stack) -> None:
    suffix = uuid4()
    assert await parts.people.ensure(f"Zo\u00eb {suffix}") == await parts.people.ensure(f"Zoe\u0308 {suffix}")


async def test_a_person_whom_another_process_entered_a_moment_ago_is_found(parts: Stack, connect: Connect) -> None:
    other = People(await connect())
    await other.start()
    for _ in range(20):
        name = str(uuid4())
        person = await other.ensure(name)
        assert await parts.people.name(person) == name
        assert await parts.people.find(name) == person
    assert await parts.people.name(uuid4()) is None
    assert await parts.people.find(str(uuid4())) is None
    await other.stop()


async def test_an_erased_person_is_gone_from_memory_and_from_the_disk(
    parts: Stack, connect: Connect, server: EmbeddedNats
) -> None:
    other = People(await connect())
    await other.start()
    name = f"to be forgotten {uuid4().hex}"
    person = await parts.people.ensure(name)
    assert await other.name(person) == name
    assert _on_disk(server, name)
    admin = (await connect("admin")).jetstream()
    assert await other.erase(name, admin)
    assert not await other.erase(name, admin)
    await becomes_true(lambda: parts.people.name_of(person) is None)
    assert await parts.people.name(person) is None
    assert await parts.people.find(name) is None
    assert not _on_disk(server, name)
    anew = People(await connect())
    await anew.start()
    assert anew.name_of(person) is None
    assert await anew.ensure(name) != person
    await anew.stop()
    await other.stop()


async def test_a_service_may_not_erase(parts: Stack) -> None:
    person = await parts.people.ensure(str(uuid4()))
    with pytest.raises(LogUnavailable):
        await parts.people.erase(person, parts.nc.jetstream(timeout=0.3))


def _on_disk(server: EmbeddedNats, text: str) -> bool:
    files = [path for path in (server.directory / "jetstream").rglob("*") if path.is_file()]
    return any(text.encode() in path.read_bytes() for path in files)
