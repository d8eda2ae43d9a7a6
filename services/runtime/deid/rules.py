"""What becomes of a type: the rules of which policies consist."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Action = Literal["pseudonymise", "mask", "redact", "hash", "date_shift", "keep", "replace"]
Output = Literal["unissuable", "valid", "invalid"]
Score = Annotated[float, Meta(ge=0, le=1)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of one type. `output`, `min_score`: the policy's own where left out."""

    action: Action = "pseudonymise"
    output: Output | None = None
    min_score: Score | None = None
    min_digits: Annotated[int, Meta(ge=1, le=36)] = 1
    mask: Annotated[str, Meta(pattern=r"\A[!#-+.-\[\]-~]\Z")] = "*"
    keep_last: Annotated[int, Meta(ge=0, le=8)] = 0
    days: Annotated[int, Meta(ge=1, le=3650)] = 365

    @property
    def reversible(self) -> bool:
        return self.action in ("pseudonymise", "date_shift")


class Pattern(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A type of the policy's own: what matches a regular expression, in each text, cell or value by itself."""

    name: Annotated[str, Meta(pattern=r"\A[A-Z][A-Z0-9_]{1,39}\Z")]
    pattern: Annotated[str, Meta(min_length=1, max_length=512)]
    ignore_case: bool = False
    score: Score = 0.8
