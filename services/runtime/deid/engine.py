"""Texts in, texts out: what a policy recognises is replaced, the same original by the same pseudonym."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from contracts.problems import Wrong
from services.runtime.deid.buffers import APART, Areas
from services.runtime.deid.documents import Rewriter, Rewriting
from services.runtime.deid.faults import json_fault
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.recognisers import Recogniser
from services.runtime.deid.refusals import NotReversible, TextRefused
from services.runtime.deid.replacing import Replacer

Locale = Literal["zh-CN", "en-US"]
TextFormat = Literal["text", "json"]


class Replaced(msgspec.Struct, frozen=True):
    """One original and what stands in its place; as secret as the text itself."""

    type: str
    original: str
    pseudo: str


class Result(msgspec.Struct, frozen=True):
    """The texts in their order, what was replaced (each once, in order of appearance), and how often by type."""

    texts: list[str]
    mapping: list[Replaced]
    counts: dict[str, int]


class Deidentifier:
    """One policy under one key. Without a seed, a policy of key `seed` has a new key for every instance."""

    def __init__(self, policy: Policy, keys: Keys, seed: int | None = None) -> None:
        self._policy, self._seed = policy, seed
        self._keys = keys.derive(policy.key, policy.id, policy.version, seed)

    def texts(self, texts: Sequence[str], locale: Locale = "zh-CN", format: TextFormat = "text") -> Result:  # noqa: A002
        """Each text by itself; with format `json` each is a JSON document, of which only strings and numbers change.
        No type depends on `locale` so far.

        Raises TextRefused where a text is no valid Unicode or not the JSON that it should be.
        """
        rewriter = Rewriter(Recogniser(self._policy), Replacer(self._policy, self._keys), locale)
        return _result(rewriter, texts, format)

    def reverse(self, texts: Sequence[str], locale: Locale = "zh-CN", format: TextFormat = "text") -> Result:  # noqa: A002
        """Back from de-identified texts: an `original` of the mapping is a pseudonym, its `pseudo` what it stood for.

        Only what was pseudonymised or shifted comes back, in capitals where an ID ended in x. Raises NotReversible for
        a policy that does neither, or of key `seed` without a seed, else as `texts`.
        """
        if not self._policy.reversible:
            raise NotReversible("该策略的处理方式均不可还原", "nothing that this policy does can be undone")
        if self._policy.key == "seed" and self._seed is None:
            raise NotReversible("该策略需要 seed 才能还原", "this policy is reversed with its seed only")
        recogniser = Recogniser(self._policy, pseudonyms=True)
        rewriter = Rewriter(recogniser, Replacer(self._policy, self._keys, inverse=True), locale)
        return _result(rewriter, texts, format)


def _result(rewriter: Rewriter, texts: Sequence[str], format: TextFormat) -> Result:  # noqa: A002
    contents = [_encoded(text, index) for index, text in enumerate(texts)]
    areas = Areas.joined(contents)
    joined = (b"\n" if format == "json" else APART).join(contents)
    if format == "json":
        for index, content in enumerate(contents):
            if fault := json_fault(content):
                raise TextRefused(Wrong(f"/text/{index}", *fault))
        done = rewriter.json(joined, areas.starts, None)
    else:
        done = rewriter.text(joined, areas)
    return Result(
        texts=[part.decode() for part in done.stretches(areas.starts, areas.ends)],
        mapping=_mapping(done),
        counts=dict(done.counts()),
    )


def _mapping(done: Rewriting) -> list[Replaced]:
    seen: dict[tuple[str, str], str] = {}
    for kind, original, pseudo in done.pairs():
        seen.setdefault((kind, original), pseudo)
    return [Replaced(kind, original, pseudo) for (kind, original), pseudo in seen.items()]


def _encoded(text: str, index: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise TextRefused(Wrong(f"/text/{index}", "不是有效的 Unicode 文本", "is not valid Unicode")) from None
