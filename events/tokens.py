"""Access tokens: facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from events.event import Event

Role = Literal["reader", "operator", "admin"]


class TokenFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "tokens"


class TokenIssued(TokenFact, frozen=True, kw_only=True):
    """`owner` is a person's id; `digest` the SHA-256 of the 256 random bits that only the owner has, in hex.

    `may_reveal`: whether it may be told the originals of pseudonyms, which no role includes.
    """

    owner: UUID
    role: Role
    digest: str
    may_reveal: bool = False


class TokenRevoked(TokenFact, frozen=True, kw_only=True):
    pass


AnyTokenFact = TokenIssued | TokenRevoked


class Token(msgspec.Struct, frozen=True, kw_only=True):
    owner: UUID | None = None
    role: Role = "reader"
    digest: str = ""
    may_reveal: bool = False
    revoked: bool = False


def evolve(token: Token, fact: AnyTokenFact) -> Token:
    match fact:
        case TokenIssued():
            return replace(token, owner=fact.owner, role=fact.role, digest=fact.digest, may_reveal=fact.may_reveal)
        case TokenRevoked():
            return replace(token, revoked=True)
        case _:
            assert_never(fact)
