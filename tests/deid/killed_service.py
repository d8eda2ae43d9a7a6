"""The de-identification service as a process of its own, which kills itself at a moment that its arguments name."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

from contracts.command import Command
from services.deid import job, main
from services.deid.reports import Reports
from services.runtime import reporting
from services.runtime.dispatch import Accepted
from services.runtime.handover import decode
from services.runtime.storage import Arrived, Storage

MOMENTS = (
    "before AssignDeidentification",
    "after AssignDeidentification",
    "after the first file was made",
    "after the first file was adopted",
    "after the first file was placed",
    "after the second file was placed",
    "before DeriveDatasetVersion",
    "after DeriveDatasetVersion",
    "after the first file was settled",
    "before ReportDeidentified",
    "after ReportDeidentified",
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, count: int) -> None:
    """It dies when that method has returned for the nth time."""
    method, calls = getattr(owner, name), 0

    def counted() -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            die()

    if asyncio.iscoroutinefunction(method):

        async def dying(*arguments: Any, **named: Any) -> Any:
            result = await method(*arguments, **named)
            counted()
            return result

        setattr(owner, name, dying)
    else:

        def dying_at_once(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            counted()
            return result

        setattr(owner, name, dying_at_once)


def at_report(when: str, kind: str) -> None:
    send = Reports.under

    async def report(self: reporting.Reports, command: Command, command_id: UUID) -> Accepted:
        dies = type(command).__name__ == kind
        if dies and when == "before":
            die()
        accepted = await send(self, command, command_id)
        if dies:
            die()
        return accepted

    Reports.under = report  # type: ignore[method-assign]


STEPS: dict[str, Callable[[], None]] = {
    "after the first file was made": lambda: after(job.Job, "_asked", 1),
    "after the first file was adopted": lambda: after(Storage, "adopt", 1),
    "after the first file was placed": lambda: after(Arrived, "place", 1),
    "after the second file was placed": lambda: after(Arrived, "place", 2),
    "after the first file was settled": lambda: after(Arrived, "settle", 1),
}


if __name__ == "__main__":
    moment = sys.argv[2]
    if moment in STEPS:
        STEPS[moment]()
    elif moment:
        at_report(*moment.split())
    asyncio.run(main.run(decode(sys.argv[1].encode())))
