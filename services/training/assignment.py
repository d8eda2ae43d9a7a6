"""Which attempts are this service's: the command id of their assignment lies here before it is sent."""

from __future__ import annotations

from uuid import UUID, uuid4

from events.event import Recorded
from events.runs import RunAssigned
from services.runtime.durable_files import write_durably
from services.training.executors import Place


def _assignment_id(place: Place) -> UUID | None:
    try:
        return UUID((place.directory / "assignment").read_text())
    except FileNotFoundError:
        return None


def make_assignment_id(place: Place) -> UUID:
    if made := _assignment_id(place):
        return made
    place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = uuid4()
    write_durably(place.directory / "assignment", str(made).encode())
    return made


def is_assigned_here(place: Place, recorded: list[Recorded]) -> bool:
    own_id = _assignment_id(place)
    return any(isinstance(entry.fact, RunAssigned) and entry.meta.origin.command_id == own_id for entry in recorded)
