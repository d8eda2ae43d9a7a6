"""Attempts of deployments: where each lies, what marks its processes, and the log that all of a deployment share."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import msgspec

from services.runtime.children import wrapped

MARK = "TRAINLEDGER_DEPLOYMENT"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`directory` is its alone, `log` the file that its output is appended to."""

    deployment_id: UUID
    number: int
    directory: Path
    log: Path

    @property
    def mark(self) -> str:
        return f"{MARK}={self.deployment_id}/{self.number}"


def prepare(attempt: Attempt) -> None:
    """Leads the attempt's output into the deployment's log."""
    attempt.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    attempt.log.parent.mkdir(parents=True, exist_ok=True)
    output = wrapped.output(attempt)
    if not output.is_symlink():
        output.symlink_to(attempt.log.absolute())
