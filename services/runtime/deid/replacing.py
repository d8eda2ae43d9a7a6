"""What is put in the place of each span, by the action of its type."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv6Address

import msgspec
import numpy as np

from services.runtime.deid import spelled_mails, spellings
from services.runtime.deid.buffers import Buffer, Bytes, Flags, Offsets, narrow
from services.runtime.deid.dates import Dates, day_of, in_widths
from services.runtime.deid.escapes import spelled_out
from services.runtime.deid.keys import DerivedKeys
from services.runtime.deid.policies import Policy
from services.runtime.deid.pseudonyms.layouts import layouts
from services.runtime.deid.pseudonyms.values import Pseudonyms
from services.runtime.deid.rules import Pattern, Rule
from services.runtime.deid.spans import Spans
from services.runtime.deid.trunks import after_country_code

_HASH_DIGITS = 16

Said = Callable[[bytes], str]
"""The text that a stretch of a content says."""


class Edits:
    """A buffer after its spans were replaced: by as many bytes in place, or by pieces of another length.

    `pieces`: by the number of the span. `whole`: the original content with what is as long as before replaced.
    """

    def __init__(self, buffer: Buffer, spans: Spans, changed: Bytes, pieces: dict[int, bytes], said: Said) -> None:
        self.spans, self.pieces = spans, pieces
        self.starts, self.ends = buffer.original(spans.starts), buffer.original(spans.ends)
        self.whole = buffer.rewritten(changed).tobytes()
        self._before, self._said = buffer.content, said

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """Type, original and what took its place, as texts; each original of a type once, in order of appearance."""
        seen = set[tuple[int, bytes]]()
        columns = zip(self.spans.kinds.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True)
        for index, (kind, start, end) in enumerate(columns):
            original = kind, self._before[start:end]
            if original not in seen:
                seen.add(original)
                new = self.pieces.get(index)
                after = self._said(self.whole[start:end]) if new is None else new.decode()
                yield self.spans.names[kind], self._said(original[1]), after

    def counts(self) -> dict[str, int]:
        """How many spans of each type there are."""
        counts = np.bincount(self.spans.kinds)
        return {self.spans.names[number]: int(counts[number]) for number in np.flatnonzero(counts).tolist()}

    def places(self) -> list[tuple[int, int, bytes]]:
        """Where in the original content which pieces belong, in ascending order."""
        numbers = sorted(self.pieces)
        starts, ends = self.starts[numbers].tolist(), self.ends[numbers].tolist()
        return [(start, end, self.pieces[n]) for n, start, end in zip(numbers, starts, ends, strict=True)]


class Replacer:
    """Replaces by one policy under one key, forth or, with `inverse`, from pseudonyms back to originals."""

    def __init__(self, policy: Policy, keys: DerivedKeys, *, inverse: bool = False) -> None:
        self._rules: dict[str, Rule] = policy.types | {own.name: own for own in policy.patterns}
        self._pseudonyms = Pseudonyms(policy, keys)
        self._dates = Dates(keys)
        self._hash_key = keys.key("hash")
        self._inverse = inverse

    def replace(self, buffer: Buffer, spans: Spans, said: Said = bytes.decode, names: Flags | None = None) -> Edits:
        """`said`: the text that a stretch of the content is of. `names`: areas that are names of fields."""
        read = said
        if buffer.escapes is not None and buffer.escapes.numbered:
            read = lambda part: spelled_out(said(part))  # noqa: E731
        if self._inverse:  # what cannot be brought back stays, and the digits in it
            undone = np.array([name in self._rules and self._rules[name].reversible for name in spans.names])
            spans = spans.take(undone[spans.kinds])
        changed = buffer.bytes.copy()
        pieces: dict[int, bytes] = {}
        for number in np.flatnonzero(np.bincount(spans.kinds)).tolist():
            kind = spans.names[number]
            rule = self._rules[kind]
            chosen = np.flatnonzero(spans.kinds == number)
            if kind == "DATE" and rule.action == "pseudonymise":
                rule = msgspec.structs.replace(rule, action="date_shift")  # a date stays a date
            if rule.action == "pseudonymise":
                starts, ends = spans.starts[chosen], spans.ends[chosen]
                left = self._pseudonyms.write(kind, buffer.bytes, changed, starts, ends, inverse=self._inverse)
                if self._inverse:
                    continue
                chosen = chosen[left]
                rule = msgspec.structs.replace(rule, action="replace")  # nothing brings these back
            elif rule.action == "date_shift":
                chosen = self._shift_in_place(buffer.bytes, changed, spans, chosen, rule)
            if rule.action in _NOT_ONE_TO_ONE:
                in_names = _in_names(buffer, spans.take(chosen), names)
                self._hash_to_the_letter(kind, buffer, spans, chosen[in_names], pieces, said)
                chosen = chosen[~in_names]
            if rule.action != "keep":
                self._write(kind, rule, buffer, changed, spans, chosen, pieces, read)
        return Edits(buffer, spans, changed, pieces, read)

    def _hash_to_the_letter(
        self, kind: str, buffer: Buffer, spans: Spans, chosen: Offsets, pieces: dict[int, bytes], said: Said
    ) -> None:
        """No two spellings become one; the plainest has the hash that its value has everywhere."""
        firsts, lasts = buffer.original(spans.starts[chosen]), buffer.original(spans.ends[chosen])
        for index, first, last in zip(chosen.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
            pieces[index] = self._tag(kind, said(buffer.content[first:last])).encode()

    def _write(
        self,
        kind: str,
        rule: Rule,
        buffer: Buffer,
        changed: Bytes,
        spans: Spans,
        chosen: Offsets,
        pieces: dict[int, bytes],
        said: Said,
    ) -> None:
        """One by one: masks and dates that are as long as before in place, the rest into `pieces`."""
        written, before, after = self._written(kind, rule), buffer.bytes.data, changed.data
        in_place = rule.action in ("mask", "date_shift")
        abroad = np.zeros(len(chosen), dtype=np.bool_)
        if kind == "CN_LANDLINE" and rule.action == "hash":
            abroad = after_country_code(buffer.bytes, spans.starts[chosen])
        known = dict[tuple[bytes, bool], bytes]()
        starts, ends = spans.starts[chosen], spans.ends[chosen]
        firsts, lasts = buffer.original(starts), buffer.original(ends)
        escaped = spelled = abroad & False
        if buffer.escapes is not None:
            escaped, spelled = buffer.escapes.within(firsts, lasts), buffer.escapes.spelled.within(firsts, lasts)
        columns = chosen, starts, ends, firsts, lasts, abroad, escaped, spelled
        for index, start, end, first, last, trunk, has, by_number in zip(*(c.tolist() for c in columns), strict=True):
            if has and rule.action == "mask":
                pieces[index] = _masked_between_escapes(rule, buffer, first, last, said).encode()
                continue
            value = narrow(said(buffer.content[first:last]).encode()) if has else bytes(before[start:end])
            old = value, trunk
            new = known.get(old)
            if new is None:
                new = known[old] = written("0" * trunk + value.decode()).encode()
            apart = by_number and not value.isascii()  # their places are of one character each
            if in_place and not has and not apart and len(new) == end - start:
                after[start:end] = new
            elif rule.action == "date_shift":
                pieces[index] = in_widths(new.decode(), buffer.content[first:last].decode()).encode()
            else:
                pieces[index] = new

    def _shift_in_place(self, content: Bytes, changed: Bytes, spans: Spans, chosen: Offsets, rule: Rule) -> Offsets:
        """Dates of four, two and two digits, or of eight, all at once; returns the spans that are left."""
        left = np.ones(len(chosen), dtype=np.bool_)
        for layout in layouts(content, spans.starts[chosen], spans.ends[chosen]):
            gaps = np.flatnonzero(np.diff(layout.columns) > 1).tolist()
            if len(layout.columns) == 8 and gaps in ([], [3, 5]):
                rows = layout.rows - np.uint8(48)
                layout.write(changed, self._dates.written(rows, rule.days, inverse=self._inverse) + np.uint8(48))
                left[layout.chosen] = False
        return chosen[left]

    def _written(self, kind: str, rule: Rule) -> Callable[[str], str]:
        match rule.action:
            case "mask":
                return lambda text: masked(text, rule.mask, rule.keep_last)
            case "hash":
                return lambda text: self._tag(kind, self._plainest(kind, text))
            case "replace":
                return lambda _: f"<{kind}>"
            case "date_shift":
                return lambda text: self._dates.shifted(text, rule.days, inverse=self._inverse)
            case _:
                return lambda _: ""

    def _tag(self, kind: str, text: str) -> str:
        """With a keyed hash of the text."""
        content = kind.encode() + b"\0" + text.encode()
        return f"<{kind}:{hashlib.blake2b(content, key=self._hash_key, digest_size=_HASH_DIGITS // 2).hexdigest()}>"

    def _plainest(self, kind: str, text: str) -> str:
        """The same for the same value in whatever spelling."""
        rule = self._rules[kind]
        if isinstance(rule, Pattern):  # whose author alone knows what else means the same
            return text.lower() if rule.ignore_case else text
        return _canonical(kind, text)


_NOT_ONE_TO_ONE = ("mask", "redact", "hash", "replace")
"""Actions that make one of several texts. In names of fields that would lose all fields but one."""
_NAME_ENDS = re.compile(rb'[^"\\\n\0]{0,128}\\*"[ \t]*:')
"""After a part of a name in JSON, also of such that is within a string or a text."""


def _in_names(buffer: Buffer, spans: Spans, names: Flags | None) -> Flags:
    """Which spans are in names of fields, be they areas (`names`) or parts of the text of one."""
    ends = buffer.original(spans.ends).tolist()
    inside: Flags = np.array([_NAME_ENDS.match(buffer.content, end) is not None for end in ends], dtype=np.bool_)
    return inside if names is None else inside | names[buffer.area_of(spans.starts)]


_WITH_SIGNS = frozenset({"EMAIL", "WECHAT", "IPV4"})
"""Types in which dots and dashes tell values apart, but not the case of letters."""
_HOST = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?P<user>[^/?#@]*@)?(?P<host>[^/?#]*)")


def _canonical(kind: str, text: str) -> str:
    """One spelling of all that mean the same; secrets and paths of URLs have one each."""
    if kind == "DATE" and (day := day_of(text)):
        return "{:04}-{:02}-{:02}".format(*day)
    if kind == "IPV6":
        with suppress(ValueError):
            return IPv6Address(text).exploded
    if kind == "IPV4":
        return ".".join(part.lstrip("0") or "0" for part in text.split("."))
    if kind == "URL" and (start := _HOST.match(text)):
        scheme, user, host = start.group("scheme", "user", "host")
        return (scheme or "").lower() + (user or "") + host.lower() + text[start.end() :]
    if kind == "API_KEY":
        return text
    if kind == "CN_PLATE":
        text = spellings.simplified(text)
    small = spelled_mails.plain(text.lower()) if kind == "EMAIL" else text.lower()
    return small if kind in _WITH_SIGNS else "".join(filter(str.isalnum, small))


def _masked_between_escapes(rule: Rule, buffer: Buffer, first: int, last: int, said: Said) -> str:
    """Escapes count as one separator each."""
    assert buffer.escapes is not None
    parts, signs, at = [], [], first
    for start, end in buffer.escapes.between(first, last):
        parts.append(said(buffer.content[at:start]))
        signs.append(said(buffer.content[start:end]))
        at = end
    parts.append(said(buffer.content[at:last]))
    new = masked(" ".join(parts), rule.mask, rule.keep_last)
    done, at = "", 0
    for part, sign in zip(parts, [*signs, ""], strict=True):
        done += new[at : at + len(part)] + sign
        at += len(part) + 1
    return done


def masked(text: str, mask: str, keep_last: int) -> str:
    """Letters, digits and 汉字 as masks, apart from the last `keep_last` of them but half at most; separators stay."""
    count = sum(character.isalnum() for character in text)
    keep_last = min(keep_last, count // 2)
    characters = []
    for character in text:
        if character.isalnum():
            characters.append(character if count <= keep_last else mask)
            count -= 1
        else:
            characters.append(character)
    return "".join(characters)
