"""Policies of de-identification that were uploaded: facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, assert_never

import msgspec
from msgspec.structs import replace

from events.event import Event


class PolicyFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "policies"


class PolicyUploaded(PolicyFact, frozen=True, kw_only=True):
    """From here on it is the policy's current version. `version` is the one that the YAML in `content` names.

    `sha256` is that of `content` as UTF-8, in hex. A version never comes with another content.
    """

    policy_id: str
    version: str
    content: str
    sha256: str


class PolicyDeleted(PolicyFact, frozen=True, kw_only=True):
    """It takes no new work; its versions stay on record, for what they de-identified."""


AnyPolicyFact = PolicyUploaded | PolicyDeleted


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as its facts tell it: its versions by name, the current one last; none before the first."""

    versions: dict[str, PolicyUploaded] = msgspec.field(default_factory=dict)
    deleted: bool = False

    @property
    def current(self) -> PolicyUploaded | None:
        return next(reversed(self.versions.values()), None)


def evolve(policy: Policy, fact: AnyPolicyFact) -> Policy:
    match fact:
        case PolicyUploaded():
            others = {version: known for version, known in policy.versions.items() if version != fact.version}
            return Policy(versions=others | {fact.version: fact})
        case PolicyDeleted():
            return replace(policy, deleted=True)
        case _:
            assert_never(fact)
