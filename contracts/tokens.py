"""Access tokens: commands."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from contracts.command import Command
from events.tokens import Role


class IssueToken(Command, frozen=True, kw_only=True):
    """`digest` is the SHA-256 of the token in hex; the token itself never leaves the caller.

    `may_reveal`: whether it may be told the originals of pseudonyms, which no role includes.
    """

    owner: Annotated[str, Meta(min_length=1, max_length=200)]
    role: Role
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    may_reveal: bool = False


class RevokeToken(Command, frozen=True, kw_only=True):
    token_id: UUID
