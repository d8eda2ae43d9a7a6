"""Older shapes of facts, brought up to today's at the log and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from events.event import Event

Body = dict[str, Any]
Upcast = Callable[[Body], Body]

# (wire name, revision that was stored) -> the body one revision later
UPCASTS: dict[tuple[str, int], Upcast] = {}


def upcast(kind: type[Event], revision: int, body: Body, upcasts: dict[tuple[str, int], Upcast] = UPCASTS) -> Body:
    """The body as `kind` expects it today. LookupError: a step is missing, or it was written by a newer release."""
    while revision != kind.revision:
        body = upcasts[kind.__name__, revision](body)
        revision += 1
    return body
