"""Which policies of de-identification there are: those that come with the service, and uploaded ones."""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import msgspec

from contracts.policies import policy_aggregate
from contracts.problems import InvalidBody, Refused
from events import policies as facts
from events.log import EventLog

if TYPE_CHECKING:
    from services.runtime.deid.policies import Policy


class KnownPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a policy; `content` is its YAML, `sha256` that of it in hex."""

    id: str
    version: str
    content: str
    sha256: str

    def loaded(self) -> Policy:
        """Synchronous: YAML takes its time once. Raises Refused (policy_outdated): an earlier release took it."""
        from services.runtime.deid.refusals import PolicyRefused

        try:
            return _loaded(self.content)
        except PolicyRefused:
            raise Refused("policy_outdated") from None


async def find_policy(
    log: EventLog, policy_id: str, version: str | None = None, *, deleted: bool = False
) -> KnownPolicy:
    """That version of the policy, its current one where none is named. `deleted`: also of one that was deleted.

    Raises Refused (policy_unknown, policy_version_unknown) and LogUnavailable.
    """
    built_in = (await asyncio.to_thread(built_in_policies)).get(policy_id)
    if built_in is not None:
        if version not in (None, built_in.version):
            raise Refused("policy_version_unknown")
        return built_in
    policy = await load_policy(log, policy_id)
    if policy.current is None or (policy.deleted and not deleted):
        raise Refused("policy_unknown")
    found = policy.current if version is None else policy.versions.get(version)
    if found is None:
        raise Refused("policy_version_unknown")
    return KnownPolicy(id=policy_id, version=found.version, content=found.content, sha256=found.sha256)


async def load_policy(log: EventLog, policy_id: str) -> facts.Policy:
    policy = facts.Policy()
    for recorded in await log.read(facts.PolicyFact.context, policy_aggregate(policy_id)):
        assert isinstance(recorded.fact, facts.AnyPolicyFact)
        policy = facts.evolve(policy, recorded.fact)
    return policy


@cache
def built_in_policies() -> dict[str, KnownPolicy]:
    """By id. Synchronous."""
    from services.runtime.deid import policies

    found = [(path.read_text(encoding="utf-8")) for path in sorted(policies.BUILT_IN.glob("*.yaml"))]
    known = (
        KnownPolicy(id=loaded.id, version=loaded.version, content=content, sha256=sha256_of(content))
        for content in found
        for loaded in (_loaded(content),)
    )
    return {policy.id: policy for policy in known}


def checked_policy(content: str) -> Policy:
    """What an uploaded YAML holds. Synchronous. Raises InvalidBody naming everything that is wrong."""
    from services.runtime.deid import policies
    from services.runtime.deid.refusals import PolicyRefused

    try:
        return policies.load(content.encode())
    except PolicyRefused as refused:
        raise InvalidBody(*refused.wrongs) from None


def sha256_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@lru_cache(maxsize=64)
def _loaded(content: str) -> Policy:
    from services.runtime.deid import policies

    return policies.load(content.encode(), on_record=True)
