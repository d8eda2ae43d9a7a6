"""De-identification of datasets, a job each: facts, state, evolve. Never any of the text."""

from __future__ import annotations

from typing import ClassVar, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from events.event import Event

JobStatus = Literal["pending", "running", "completed", "failed", "canceled"]
JobFailure = Literal["input", "policy", "key", "storage", "dataset", "internal", "lost"]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the dataset's version as it was stored; `sha256` in hex."""

    name: str
    stored_name: str
    bytes: int
    sha256: str


class DeidentifiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file. `records` as its format has them, `counts` by type of what was found in it.

    `quarantined` are records that could not be read and were left out, as the policy allows; `quarantined_lines` are
    where the first of them began, from 1.
    """

    name: str
    stored_name: str
    bytes: int
    records: int
    input_sha256: str
    output_sha256: str
    counts: dict[str, int]
    quarantined: int = 0
    quarantined_lines: tuple[int, ...] = ()


class DeidFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "deid"


class DeidentificationRequested(DeidFact, frozen=True, kw_only=True):
    """Everything that the output depends on, but the key.

    `policy` is the YAML itself, so that neither an upgrade nor a deletion changes what a job does. `fields` none: those
    that the policy names. `sealed_seed` opens with the key of de-identification only; `seeded`: the caller chose it.
    """

    dataset_id: UUID
    dataset_version: int
    dataset_sha256: str
    files: tuple[SourceFile, ...]
    policy_id: str
    policy_version: str
    policy: str
    sealed_seed: str
    seeded: bool
    fields: tuple[str, ...] | None = None


class DeidentificationAssigned(DeidFact, frozen=True, kw_only=True):
    """From here on that node, and no other, works on it."""

    node: str


class DeidentificationCancelRequested(DeidFact, frozen=True, kw_only=True):
    pass


class DeidentificationCompleted(DeidFact, frozen=True, kw_only=True):
    """The dataset has the version `output_version`, made of these files."""

    output_version: int
    files: tuple[DeidentifiedFile, ...]
    records: int
    counts: dict[str, int]


class DeidentificationFailed(DeidFact, frozen=True, kw_only=True):
    """`reason` says what is wrong at `line` (from 1) of the file named `file`, and never what stands there.

    `lost`: its node was not heard of any more.
    """

    cause: JobFailure
    reason: str
    reason_en: str
    file: str | None = None
    line: int | None = None


class DeidentificationCanceled(DeidFact, frozen=True, kw_only=True):
    """Nothing of its work is left."""


AnyDeidFact = (
    DeidentificationRequested
    | DeidentificationAssigned
    | DeidentificationCancelRequested
    | DeidentificationCompleted
    | DeidentificationFailed
    | DeidentificationCanceled
)


class DeidJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its facts tell it; `status` is none before it was requested."""

    status: JobStatus | None = None
    requested: DeidentificationRequested | None = None
    node: str | None = None
    cancel_requested: bool = False

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed", "canceled")


def evolve(job: DeidJob, fact: AnyDeidFact) -> DeidJob:
    match fact:
        case DeidentificationRequested():
            return replace(job, status="pending", requested=fact)
        case DeidentificationAssigned():
            return replace(job, status="running", node=fact.node)
        case DeidentificationCancelRequested():
            return replace(job, cancel_requested=True)
        case DeidentificationCompleted():
            return replace(job, status="completed")
        case DeidentificationFailed():
            return replace(job, status="failed")
        case DeidentificationCanceled():
            return replace(job, status="canceled")
        case _:
            assert_never(fact)
