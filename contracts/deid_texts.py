"""De-identification of texts on request: HTTP bodies, and what is recorded of them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from contracts.command import Command

LOCALES = ("zh-CN", "en-US")
FORMATS = ("text", "json")

Seed = Annotated[
    int,
    Meta(ge=0, le=2**63 - 1, description="The same seed gives the same pseudonyms, from request to request"),
]
Texts = Annotated[tuple[str, ...], Meta(min_length=1, description="Each is de-identified; one seed and key for all")]
Locale = Annotated[str, Meta(description="`zh-CN` or `en-US`")]
Format = Annotated[str, Meta(description="`text`, or `json`: each text is a JSON document")]


class DeidOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every option may be left out."""

    locale: Locale = "zh-CN"
    format: Format = "text"
    return_mapping: bool = False
    seed: Seed | None = None


class DeidRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/deidentify:test`."""

    text: Texts
    policy_id: str = "default"
    options: DeidOptions = DeidOptions()


class DeidPair(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and what stands in its place."""

    type: str
    original: str
    pseudo: str


class DeidResponse(msgspec.Struct, frozen=True, kw_only=True):
    """`deidentified` in the order of the texts; `mapping` is null unless it was asked for."""

    deidentified: tuple[str, ...]
    mapping: tuple[DeidPair, ...] | None
    policy_version: str


class ReverseOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those that the texts were de-identified with."""

    locale: Locale = "zh-CN"
    format: Format = "text"
    seed: Seed | None = None


class ReverseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/deidentify:reverse`; `policy_version` left out: the current one."""

    text: Texts
    policy_id: str = "default"
    policy_version: str | None = None
    options: ReverseOptions = ReverseOptions()


class ReverseResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The originals as far as the policy can be undone; `counts` by type of what was brought back."""

    text: tuple[str, ...]
    counts: dict[str, int]
    policy_version: str


# What the edge records. None of these can be sent from outside.


class RecordTextsDeidentified(Command, frozen=True, kw_only=True):
    """Fields as of `TextsDeidentified`; recorded once for each id of a command."""

    policy_id: str
    policy_version: str
    texts: int
    counts: dict[str, int]
    locale: str
    format: str
    seeded: bool
    mapping_given: bool


class RecordTextsReversed(Command, frozen=True, kw_only=True):
    """Fields as of `TextsReversed`."""

    policy_id: str
    policy_version: str
    texts: int
    counts: dict[str, int]
    locale: str
    format: str
    seeded: bool
