"""Projects: commands, HTTP bodies and views."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Annotated, Literal
from uuid import UUID, uuid5

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.command import Command
from contracts.runs import RunDetail

ProjectStatus = Literal["active", "archived"]
Owner = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=20_000)]
Tags = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(max_length=100)]
RequireDeidentified = Annotated[
    bool, Meta(description="Runs train on de-identified versions of datasets only; one on raw data is refused")
]
AssetName = Annotated[str, Meta(min_length=1, max_length=1_000)]

# Never changes: every project id of every ledger is derived from it.
_PROJECT_NAMESPACE = UUID("5a0c4f0e-6d8e-5b7e-9a52-3c1e6f1f7d10")
# Of the letters, that parser takes those of hexadecimal digits, of `urn:uuid:` and of `0x`.
_IN_NO_UUID = re.compile(r"[g-hj-mo-qstv-wyzG-WYZ]")


def reads_as_uuid(text: str) -> bool:
    """Whether Python's lenient UUID parser takes the text (braces, `urn:uuid:` and missing hyphens included)."""
    if len(text) < 32 or _IN_NO_UUID.search(text):  # its digits alone are as many; two quick looks
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1_024)  # a request asks several times
def project_id(reference: str) -> UUID:
    """The id that a project reference (an id or a name) addresses; names that read as UUIDs do not exist."""
    if reads_as_uuid(reference):
        return UUID(reference)
    return uuid5(_PROJECT_NAMESPACE, unicodedata.normalize("NFC", reference))


class CreateProject(Command, frozen=True, kw_only=True):
    """`POST /projects`; the name is unique for ever, since it addresses the project."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    owner: Owner
    dataset_name: AssetName
    training_yaml_name: AssetName
    description: Description | None = None
    tags: Tags = ()
    objective: Description | None = None
    task_type: Annotated[str, Meta(max_length=200)] | None = None
    require_deidentified: RequireDeidentified = False


class ProjectChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of `PATCH /projects/{project_reference}`; what is left out stays as it is."""

    description: Description | UnsetType | None = UNSET
    owner: Owner | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    dataset_name: AssetName | UnsetType = UNSET
    training_yaml_name: AssetName | UnsetType = UNSET
    require_deidentified: RequireDeidentified | UnsetType = UNSET


class ReviseProject(Command, frozen=True, kw_only=True):
    project: str
    changes: ProjectChanges


class ArchiveProject(Command, frozen=True, kw_only=True):
    project: str


class UnarchiveProject(Command, frozen=True, kw_only=True):
    project: str


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as lists show it. Moments are ISO 8601 UTC without a zone suffix."""

    id: UUID
    name: str
    description: str | None
    owner: str
    tags: tuple[str, ...]
    dataset_name: str
    training_yaml_name: str
    status: ProjectStatus
    created_at: str
    updated_at: str
    runs_started: int
    objective: str | None = None
    task_type: str | None = None
    require_deidentified: bool = False


class ProjectDetail(Project, frozen=True, kw_only=True):
    runs: tuple[RunDetail, ...]
