"""Commands on access tokens."""

from __future__ import annotations

from contracts.command import Command
from contracts.tokens import IssueToken, RevokeToken
from events import tokens as token_facts
from services.handlers import tokens
from services.runtime.commands.handler import Aggregate, Handler, new
from services.runtime.gathering import sources as gather

TOKENS = Aggregate(token_facts.TokenFact.context, token_facts.Token(), token_facts.evolve)


HANDLERS: dict[type[Command], Handler] = {
    IssueToken: Handler(
        aggregate=TOKENS,
        target=new,
        decide=tokens.issue_token,
        role="admin",
        check=tokens.check_issue,
        gather=gather.for_issue_token,
    ),
    RevokeToken: Handler(
        aggregate=TOKENS, target=lambda command, _: command.token_id, decide=tokens.revoke_token, role="admin"
    ),
}
