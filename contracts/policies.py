"""Policies of de-identification: commands and views."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta

from contracts.command import Command

LARGEST_POLICY = 65_536  # bytes of YAML, which stands in a fact

# Never changes: every uploaded policy's aggregate id derives from its id.
_POLICY_NAMESPACE = UUID("8b1f6a36-0d5c-5a57-a7f7-3f3f3a5b2c90")


def policy_aggregate(policy_id: str) -> UUID:
    return uuid5(_POLICY_NAMESPACE, policy_id)


class UploadPolicy(Command, frozen=True, kw_only=True):
    """`PUT /v1/deid/policies/{policy_id}`; `content` is YAML, which names its own version.

    The same content again changes nothing; another content needs another version.
    """

    policy_id: Annotated[str, Meta(min_length=1, max_length=64)]
    content: Annotated[str, Meta(min_length=1, max_length=LARGEST_POLICY)]


class DeletePolicy(Command, frozen=True, kw_only=True):
    """From here on it takes no new work; jobs at work go on, and what it de-identified can still be reversed."""

    policy_id: str


class PolicySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A policy in force. `sha256` is that of its YAML, in hex; moments are ISO 8601 UTC with `Z`, none if built in."""

    id: str
    version: str
    built_in: bool
    sha256: str
    versions: tuple[str, ...]
    uploaded_at: str | None = None


class PolicyDetail(PolicySummary, frozen=True, kw_only=True):
    """A version of a policy with its YAML; `deleted`: it is on record only."""

    content: str
    deleted: bool = False


class PolicyRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `DELETE /v1/deid/policies/{policy_id}`."""

    id: str
    status: Literal["deleted"] = "deleted"
