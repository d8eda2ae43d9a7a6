"""Texts that are de-identified or brought back while the caller waits; nothing of them is kept, logged or told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from contracts.deid_texts import (
    FORMATS,
    LOCALES,
    DeidPair,
    DeidRequest,
    DeidResponse,
    RecordTextsDeidentified,
    RecordTextsReversed,
    ReverseRequest,
    ReverseResponse,
)
from contracts.problems import InvalidBody, Refused, Wrong
from events.event import Origin
from events.log import EventLog
from events.tokens import Role
from services.runtime.deidentifying.asking import Deidentifying
from services.runtime.deidentifying.asks import (
    Answer,
    Ask,
    DeidentifyTexts,
    NotReversible,
    PolicyToUse,
    ReverseTexts,
    TextsDone,
    TextUnreadable,
)
from services.runtime.deidentifying.policies import KnownPolicy, find_policy
from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.dispatch import Dispatch
from services.runtime.intake import Caller, has_role


class TextLimits(msgspec.Struct, frozen=True):
    """Of one request: how many texts, and how many bytes of UTF-8 each."""

    texts: int
    bytes: int


class DeidTexts:
    """Every answer was recorded before it is given: who asked, which policy, how many of which type."""

    def __init__(
        self, log: EventLog, dispatch: Dispatch, engine: Deidentifying, secret: DeidSecret, limits: TextLimits
    ) -> None:
        self._log = log
        self._dispatch = dispatch
        self.engine = engine
        self._secret = secret
        self._limits = limits

    async def deidentify(self, asked: DeidRequest, caller: Caller, request_id: str) -> DeidResponse:
        """Raises Refused and LogUnavailable."""
        options = asked.options
        policy, done = await self._answered(
            asked,
            RecordTextsDeidentified(**_recorded(asked), mapping_given=options.return_mapping),
            caller,
            request_id,
            reveals=options.return_mapping,
            find=lambda: find_policy(self._log, asked.policy_id),
            ask=lambda use: DeidentifyTexts(
                policy=use,
                texts=asked.text,
                locale=options.locale,
                format=options.format,
                mapping=options.return_mapping,
            ),
        )
        pairs = tuple(DeidPair(type=kind, original=original, pseudo=pseudo) for kind, original, pseudo in done.mapping)
        return DeidResponse(
            deidentified=done.texts,
            mapping=pairs if options.return_mapping else None,
            policy_version=policy.version,
        )

    async def reverse(self, asked: ReverseRequest, caller: Caller, request_id: str) -> ReverseResponse:
        """Also by a policy that was deleted. Raises Refused and LogUnavailable."""
        options = asked.options
        policy, done = await self._answered(
            asked,
            RecordTextsReversed(**_recorded(asked)),
            caller,
            request_id,
            reveals=True,
            find=lambda: find_policy(self._log, asked.policy_id, asked.policy_version, deleted=True),
            ask=lambda use: ReverseTexts(policy=use, texts=asked.text, locale=options.locale, format=options.format),
        )
        return ReverseResponse(text=done.texts, counts=done.counts, policy_version=policy.version)

    async def _answered(
        self,
        asked: DeidRequest | ReverseRequest,
        record: RecordTextsDeidentified | RecordTextsReversed,
        caller: Caller,
        request_id: str,
        *,
        reveals: bool,
        find: Callable[[], Awaitable[KnownPolicy]],
        ask: Callable[[PolicyToUse], Ask],
    ) -> tuple[KnownPolicy, TextsDone]:
        """What the engine answers, once that is on record; so is every refusal. `reveals`: originals are handed out."""
        origin = Origin(actor=str(caller.person), command_id=uuid4(), correlation_id=request_id)
        try:
            _require_role(caller, "operator")  # who may try every phone number against the key has reversed it
            if reveals:
                _require_reveal(caller)
            self._check(asked.text, asked.options.locale, asked.options.format)
            policy = await find()
            done = await self._ask(ask(await self._to_use(policy, asked.options.seed)))
        except Refused as refused:
            await self._dispatch.record_refusal(type(record), refused, origin)
            raise
        await self._dispatch(replace(record, policy_version=policy.version, counts=done.counts), origin)
        return policy, done

    def _check(self, texts: Sequence[str], locale: str, format_: str) -> None:
        if locale not in LOCALES:
            raise Refused("locale_unknown", known=", ".join(LOCALES))
        if format_ not in FORMATS:
            raise Refused("format_unknown", known=", ".join(FORMATS))
        if len(texts) > self._limits.texts:
            raise Refused("too_many_texts", limit=self._limits.texts)
        for number, text in enumerate(texts, 1):
            if 4 * len(text) > self._limits.bytes and len(text.encode()) > self._limits.bytes:
                raise Refused("text_too_large", number=number, limit=self._limits.bytes)

    async def _to_use(self, policy: KnownPolicy, seed: int | None) -> PolicyToUse:
        return PolicyToUse(
            policy=await asyncio.to_thread(policy.loaded),
            secret=await asyncio.to_thread(self._secret.read),
            seed=seed,
        )

    async def _ask(self, ask: Ask) -> TextsDone:
        answer: Answer = await self.engine.ask(ask)
        match answer:
            case TextsDone():
                return answer
            case TextUnreadable():
                raise InvalidBody(Wrong(answer.pointer, answer.zh, answer.en))
            case NotReversible():
                raise Refused("not_reversible")
            case _:
                raise TypeError(f"{type(answer).__name__} is no answer to texts")


def _recorded(asked: DeidRequest | ReverseRequest) -> dict[str, Any]:
    """What facts tell of a request; the version of the policy and the counts are known once it is answered."""
    options = asked.options
    return {
        "policy_id": asked.policy_id,
        "policy_version": "",
        "texts": len(asked.text),
        "counts": {},
        "locale": options.locale,
        "format": options.format,
        "seeded": options.seed is not None,
    }


def _require_role(caller: Caller, role: Role) -> None:
    if not has_role(caller.role, role):
        raise Refused("forbidden", role=role)


def _require_reveal(caller: Caller) -> None:
    if not caller.may_reveal:
        raise Refused("reveal_forbidden")
