"""Refused commands: recorded so that an auditor sees what was asked and denied, without what was sent."""

from __future__ import annotations

from typing import ClassVar

from events.event import Event


class CommandRefused(Event, frozen=True, kw_only=True):
    """`command` is the wire name, `code` the problem's code. Never any of the body."""

    context: ClassVar[str] = "commands"
    command: str
    code: str
