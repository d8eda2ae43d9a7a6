"""Every fact there is, is in the catalogue, and every fact ever released can still be read."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

import events
from events.catalogue import FACTS
from events.event import Event, Origin
from events.log.envelope import decode, encode
from events.log.messages import Stored

FROZEN = Path(__file__).parent.parent / "frozen"


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact as a release stored it, every field given: `<FactName>.json`, later `<FactName>.<revision>.json`."""

    context: str
    revision: int
    body: dict[str, Any]


def named(file: str) -> tuple[str, int]:
    """The fact's wire name and the revision that a file freezes."""
    name, *revision = file.removesuffix(".json").split(".")
    return name, int(revision[0]) if revision else 1


def frozen_files() -> dict[str, Frozen]:
    return {file.name: msgspec.json.decode(file.read_bytes(), type=Frozen) for file in sorted(FROZEN.glob("*.json"))}


def facts_defined() -> set[type[Event]]:
    """Classes of facts in the product; those with subclasses are only bases."""
    for module in pkgutil.walk_packages(events.__path__, "events."):
        importlib.import_module(module.name)
    found, waiting = set(), [Event]
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        waiting += subclasses
        found |= {kind for kind in subclasses if not kind.__subclasses__() and kind.__module__.startswith("events.")}
    return found


def missing_from(catalogue: dict[str, type[Event]], defined: set[type[Event]]) -> set[str]:
    return {kind.__name__ for kind in defined} ^ set(catalogue)


def lost_in(file: str, frozen: Frozen) -> dict[str, Any]:
    """What of a frozen body does not come back when today's code reads it and writes it again."""
    today = decode(stored(named(file)[0], frozen)).fact
    again = msgspec.json.decode(msgspec.json.encode(today))
    return {field: value for field, value in frozen.body.items() if field not in again or again[field] != value}


def stored(type_name: str, frozen: Frozen) -> Stored:
    headers = {
        "ce-id": str(uuid4()),
        "ce-type": type_name,
        "ce-time": "2024-04-12T08:45:09.192384Z",
        "ce-aggregateversion": "1",
        "ce-revision": str(frozen.revision),
        "ce-actor": "service:test",
        "ce-commandid": str(uuid4()),
    }
    body = msgspec.json.encode(frozen.body)
    return Stored(1, f"events.{frozen.context}.{uuid4()}", headers, body, datetime.now(UTC))


def test_the_catalogue_is_complete() -> None:
    assert missing_from(FACTS, facts_defined()) == set(), "not in events/catalogue.py, or not defined any more"


def test_the_wire_name_is_the_class_name_and_the_context_the_module() -> None:
    for name, kind in FACTS.items():
        assert name == kind.__name__
        assert kind.__module__ == f"events.{kind.context}", f"{name} names the context {kind.context}"


def test_every_shape_of_every_fact_is_frozen() -> None:
    files = frozen_files()
    expected = {
        f"{name}.json" if revision == 1 else f"{name}.{revision}.json"
        for name, kind in FACTS.items()
        for revision in range(1, kind.revision + 1)
    }
    assert expected - set(files) == set(), "tests/frozen lacks these facts"
    assert set(files) - expected == set(), "these facts were released: they cannot be taken back"


@pytest.mark.parametrize("file", sorted(frozen_files()))
def test_todays_code_reads_what_was_frozen(file: str) -> None:
    frozen, (name, revision) = frozen_files()[file], named(file)
    kind = FACTS[name]
    assert (frozen.context, frozen.revision) == (kind.context, revision)
    assert isinstance(decode(stored(name, frozen)).fact, kind)
    if revision == kind.revision:
        assert lost_in(file, frozen) == {}


def test_what_was_frozen_leaves_the_log_as_it_came() -> None:
    """Equal when read, written and read again, for every fact."""
    for file, frozen in frozen_files().items():
        fact = decode(stored(named(file)[0], frozen)).fact
        message = encode(
            fact,
            event_id=uuid4(),
            context=fact.context,
            aggregate_id=uuid4(),
            version=1,
            time=datetime.now(UTC),
            origin=Origin(actor="service:test", command_id=uuid4()),
        )
        assert decode(Stored(1, message.subject, message.headers, message.body, datetime.now(UTC))).fact == fact


# These checks can fail.


def test_a_fact_outside_the_catalogue_is_named() -> None:
    assert missing_from({"ProjectPainted": Event}, facts_defined()) >= {"ProjectPainted", "RunFailed"}


def test_a_field_that_was_renamed_is_named() -> None:
    frozen = frozen_files()["RunFailed.json"]
    renamed = msgspec.structs.replace(frozen, body=frozen.body | {"output_size": 7})
    assert lost_in("RunFailed.json", renamed) == {"output_size": 7}
