"""Texts in, texts out: what a policy recognises is replaced, the same original by the same pseudonym."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from contracts.problems import Wrong
from services.runtime.deid.buffers import Buffer
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.recognisers import Recogniser
from services.runtime.deid.refusals import TextRefused
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
    """One policy under one key. May be used by several threads; without a seed, a policy of key `seed` has a key of
    its own for every instance.
    """

    def __init__(self, policy: Policy, keys: Keys, seed: int | None = None) -> None:
        self._recogniser = Recogniser(policy)
        self._replacer = Replacer(policy, keys.derive(policy.key, policy.id, policy.version, seed))

    def texts(self, texts: Sequence[str], locale: Locale = "zh-CN", format: TextFormat = "text") -> Result:  # noqa: A002
        """Each text by itself; with format `json` each is a JSON document, of which only string values change.

        Raises TextRefused where a text is no valid Unicode or not the JSON that it should be.
        """
        del format
        buffer = Buffer.of_texts([_encoded(text, index) for index, text in enumerate(texts)])
        spans = self._recogniser.find(buffer, locale)
        edits = self._replacer.replace(buffer, spans)
        seen: dict[tuple[str, str], str] = {}
        counts: Counter[str] = Counter()
        for kind, original, pseudo in edits.pairs():
            counts[kind] += 1
            seen.setdefault((kind, original), pseudo)
        return Result(
            texts=[part.decode() for part in edits.parts(buffer.starts, buffer.ends)],
            mapping=[Replaced(kind, original, pseudo) for (kind, original), pseudo in seen.items()],
            counts=dict(counts),
        )


def _encoded(text: str, index: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise TextRefused(Wrong(f"/text/{index}", "不是有效的 Unicode 文本", "is not valid Unicode")) from None
