"""Texts that were de-identified or brought back on request: facts, state, evolve. Never any of the text."""

from __future__ import annotations

from typing import ClassVar, assert_never

import msgspec

from events.event import Event


class DeidTextFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "deid_texts"


class TextsDeidentified(DeidTextFact, frozen=True, kw_only=True):
    """`counts` by type of what was found, over all `texts`. `seeded`: the caller gave a seed, which is not on record.

    `mapping_given`: the answer held the originals beside their pseudonyms.
    """

    policy_id: str
    policy_version: str
    texts: int
    counts: dict[str, int]
    locale: str
    format: str
    seeded: bool
    mapping_given: bool


class TextsReversed(DeidTextFact, frozen=True, kw_only=True):
    """Somebody was given the originals of pseudonyms; `counts` by type of those that were brought back."""

    policy_id: str
    policy_version: str
    texts: int
    counts: dict[str, int]
    locale: str
    format: str
    seeded: bool


AnyDeidTextFact = TextsDeidentified | TextsReversed


class DeidTexts(msgspec.Struct, frozen=True, kw_only=True):
    """One request, which is recorded once."""

    recorded: bool = False


def evolve(_: DeidTexts, fact: AnyDeidTextFact) -> DeidTexts:
    match fact:
        case TextsDeidentified() | TextsReversed():
            return DeidTexts(recorded=True)
        case _:
            assert_never(fact)
