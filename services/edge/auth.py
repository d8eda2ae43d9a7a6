"""Who asks: access tokens, as the log tells of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import unicodedata
from uuid import UUID

import msgspec

from contracts.problems import Refused
from events import tokens as facts
from events.event import Recorded
from events.log import EventLog, LogUnavailable, UnreadableFact
from events.tokens import Role, TokenFact
from services.edge.parameters import InvalidParameter
from services.handlers.texts import wrong_with_person
from services.runtime.people import People

LOCAL_ACTOR = "local"
_CONTEXTS = (TokenFact.context,)
_PAUSE = 1.0

_log = logging.getLogger(__name__)


class Identity(msgspec.Struct, frozen=True):
    """Somebody who asks. A token's owner is a known `person`; any other name is entered when it first commands.

    `may_reveal`: whether the originals of pseudonyms may be told.
    """

    name: str
    role: Role
    person: UUID | None = None
    may_reveal: bool = False


class Tokens:
    """The access tokens of the ledger, in memory, following their facts."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._tokens: dict[UUID, facts.Token] = {}
        self._active: dict[str, facts.Token] = {}
        self._following: asyncio.Task[None] | None = None
        self._target = 0
        self._caught_up = asyncio.Event()

    async def start(self) -> None:
        """Returns once every token issued or revoked before is known, and follows from there. LogUnavailable."""
        self._target = await self._log.last_position(_CONTEXTS)
        self._following = asyncio.create_task(self._follow(), name="tokens")
        if self._target:
            await self._caught_up.wait()

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    @property
    def any_active(self) -> bool:
        return bool(self._active)

    def owner_of(self, secret: str) -> facts.Token | None:
        """The token of that secret, none where it is unknown or revoked."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        token = self._active.get(digest)
        return token if token is not None and hmac.compare_digest(token.digest, digest) else None

    def apply(self, recorded: Recorded) -> None:
        token_id, fact = recorded.meta.aggregate_id, recorded.fact
        assert isinstance(fact, facts.AnyTokenFact)
        token = facts.evolve(self._tokens.get(token_id, facts.Token()), fact)
        self._tokens[token_id] = token
        if token.revoked:
            self._active.pop(token.digest, None)
        else:
            self._active[token.digest] = token

    async def _follow(self) -> None:
        position = 0
        while True:
            try:
                async for batch in self._log.follow(position, _CONTEXTS):
                    for recorded in batch:
                        self.apply(recorded)
                    position = batch[-1].meta.position
                    if position >= self._target:
                        self._caught_up.set()
            except (LogUnavailable, UnreadableFact) as error:
                _log.error("tokens issued or revoked from now on are not known: %s", error)
            await asyncio.sleep(_PAUSE)


class Authenticator:
    """`required`: without a token nobody is served, as it is on every address but loopback.

    There, whoever has none may be told the originals of pseudonyms only until the first token is made: from then on it
    takes one that says so.
    """

    def __init__(self, tokens: Tokens, people: People, *, required: bool) -> None:
        self._tokens = tokens
        self._people = people
        self._required = required

    def identify(self, authorization: bytes | None, actor: bytes | None) -> Identity:
        """Raises Refused, also for a bad token where none is needed: whoever sent it is to learn of the mistake."""
        if authorization is not None:
            return self._owner(authorization)
        if self._required:
            raise Refused("unauthenticated")
        name = LOCAL_ACTOR if actor is None else _actor_name(actor)
        return Identity(name, "admin", may_reveal=not self._tokens.any_active)

    def _owner(self, authorization: bytes) -> Identity:
        scheme, _, secret = authorization.decode("latin-1").partition(" ")
        token = self._tokens.owner_of(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None or token.owner is None:
            raise Refused("unauthenticated")
        name = self._people.name_of(token.owner) or str(token.owner)
        return Identity(name, token.role, token.owner, token.may_reveal)


def _actor_name(header: bytes) -> str:
    """HTTP says nothing of the encoding of header values; people who write names there write UTF-8."""
    try:
        name = unicodedata.normalize("NFC", header.decode()).strip()
    except UnicodeDecodeError:
        raise InvalidParameter("X-Actor", "不是有效的 UTF-8 文本", "it is not valid UTF-8") from None
    if not name:
        return LOCAL_ACTOR
    for wrong in wrong_with_person("", name):
        raise InvalidParameter("X-Actor", wrong.zh, wrong.en)
    return name
