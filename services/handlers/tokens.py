"""Decisions on access tokens."""

from __future__ import annotations

from uuid import UUID

import msgspec

from contracts.problems import InvalidBody, Refused, Wrong
from contracts.tokens import IssueToken, RevokeToken
from events.tokens import Token, TokenIssued, TokenRevoked
from services.handlers.texts import wrong_with_person


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    owner: UUID


def check_issue(command: IssueToken) -> None:
    wrongs = wrong_with_person("/owner", command.owner)
    if command.may_reveal and command.role == "reader":  # who may not even ask
        zh, en = (
            "角色 reader 不能请求原文，需要 operator 或 admin",
            "a reader cannot ask for originals: operator or admin",
        )
        wrongs.append(Wrong("/may_reveal", zh, en))
    if wrongs:
        raise InvalidBody(*wrongs)


def issue_token(_: Token, command: IssueToken, gathered: Gathered) -> tuple[TokenIssued, ...]:
    issued = TokenIssued(owner=gathered.owner, role=command.role, digest=command.digest, may_reveal=command.may_reveal)
    return (issued,)


def revoke_token(token: Token, command: RevokeToken, _: None) -> tuple[TokenRevoked, ...]:
    if token.owner is None:
        raise Refused("token_not_found", id=command.token_id)
    return () if token.revoked else (TokenRevoked(),)
