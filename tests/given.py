"""given(facts).when(command).then(facts): decisions without any I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.problems import Refused
from events.event import Event
from services.runtime.commands import HANDLERS, Aggregate

COMMAND_ID = UUID("11111111-1111-4111-8111-111111111111")


class Decided:
    def __init__(self, facts: tuple[Event, ...] | None, refused: Refused | None) -> None:
        self._facts = facts
        self.refused = refused

    def then(self, *facts: Event) -> None:
        assert self.refused is None, f"refused: {self.refused.text('en')}"
        assert self._facts == facts

    def then_refused(self, code: str) -> Refused:
        assert self.refused is not None, f"not refused: {self._facts}"
        assert self.refused.code == code
        for language in ("zh", "en"):
            assert "{" not in self.refused.text(language)
        return self.refused


class Given:
    def __init__(self, facts: Sequence[Event]) -> None:
        self._facts = facts

    def when(self, command: Command, gathered: Any = None) -> Decided:
        handler = HANDLERS[type(command)]
        try:
            if handler.check is not None:
                handler.check(command)
            return Decided(handler.decide(fold(handler.aggregate, self._facts), command, gathered), None)
        except Refused as refused:
            return Decided(None, refused)


def given(*facts: Event) -> Given:
    return Given(facts)


def fold(aggregate: Aggregate, facts: Sequence[Event]) -> Any:
    state = aggregate.initial
    for fact in facts:
        state = aggregate.evolve(state, fact)
    return state
