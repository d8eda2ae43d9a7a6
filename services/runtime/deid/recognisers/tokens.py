"""What letters are part of: addresses of mail, web and network, codes of companies and documents, plates, secrets."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid import checksums
from services.runtime.deid.buffers import Areas, Bytes, Offsets
from services.runtime.deid.pseudonyms.plans import NEVER_PLATE_PROVINCES, PLATE_LETTERS, PLATE_PROVINCES
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.digits import MARGIN, Groups, born_in_a_province, is_letter
from services.runtime.deid.recognisers.forms import Forms
from services.runtime.deid.recognisers.words import BITS, Words


def _table(characters: str) -> NDArray[np.bool_]:
    table = np.zeros(256, dtype=np.bool_)
    table[np.frombuffer(characters.encode(), dtype=np.uint8)] = True
    return table


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALNUM = _table("0123456789" + _LETTERS)
_LOCAL = _table("0123456789.!#$%&'*+/=?^_`{|}~-" + _LETTERS)
_DOMAIN = _table("0123456789.-" + _LETTERS)
_URL = _table("0123456789-._~:/?#[]@!$&'()*+,;=%" + _LETTERS)
_HEX = _table("0123456789abcdefABCDEF")
_NETWORK = _table("0123456789abcdefABCDEF:.-")

_LOCAL_PART, _DOMAIN_PART, _TOKEN = 64, 128, 40


def _reach(content: Bytes, at: Offsets, table: NDArray[np.bool_], most: int, *, back: bool = False) -> Offsets:
    """How many bytes of the table's follow each offset (or come before it, with `back`), up to `most`."""
    reach: Offsets
    if len(at) * most > len(content):  # then one look at every byte is less than a window for each
        stops = np.flatnonzero(~table[content])
        following = np.searchsorted(stops, at)
        before, after = stops[np.maximum(following - 1, 0)], np.append(stops, len(content))[following]
        reach = np.minimum(at - 1 - before if back else after - at, most)
        return reach
    steps = np.arange(most)
    places = at[:, None] - 1 - steps if back else at[:, None] + steps
    inside = table[content[np.clip(places, 0, len(content) - 1)]]
    reach = np.where(inside.all(axis=1), most, np.argmin(inside, axis=1))
    return reach


def find(groups: Groups, content: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """`content` is what `groups` look at, with its margins."""
    _emails(groups.content, out)
    _urls(groups.content, content, out)
    _codes(groups, content, out)
    _anchored(groups, content, out)
    _after_words(content, words, out)
    _named_fields(content, areas, words, out)


def _emails(content: Bytes, out: Candidates) -> None:
    if "EMAIL" not in out.wanted:
        return
    at = np.flatnonzero(content == ord("@"))
    at = at[_LOCAL[content[at - 1]] & _ALNUM[content[at + 1]]]
    if not len(at):
        return
    before = _reach(content, at, _LOCAL, _LOCAL_PART, back=True)
    after = _reach(content, at + 1, _DOMAIN, min(_DOMAIN_PART, len(content)))
    starts, ends = at - before, at + 1 + after
    # Quotes and dots at the edges belong to the sentence around.
    for _ in range(3):
        starts += ~_ALNUM[content[starts]] & (starts < at) & (content[starts] != ord("_"))
        ends -= ~_ALNUM[content[ends - 1]]
    last_dot = np.full(len(at), -1, dtype=np.int64)
    for step in range(1, 25):
        place = ends - 1 - step
        last_dot = np.where((last_dot < 0) & (place > at) & (content[place] == ord(".")), place, last_dot)
    good = (starts < at) & (last_dot > at + 1) & (ends - last_dot > 2) & is_letter(content[last_dot + 1])
    out.add("EMAIL", starts[good], ends[good], 0.9)


_SCHEMES = (b"https", b"http", b"ftps", b"ftp", b"wss", b"ws", b"HTTPS", b"HTTP")


def _urls(content: Bytes, searched: bytes, out: Candidates) -> None:
    if "URL" not in out.wanted:
        return
    colon = np.flatnonzero(content == ord(":"))
    colon = colon[(content[colon + 1] == ord("/")) & (content[np.minimum(colon + 2, len(content) - 1)] == ord("/"))]
    starts = np.full(len(colon), -1, dtype=np.int64)
    for scheme in _SCHEMES:
        fits = np.ones(len(colon), dtype=np.bool_)
        for back, byte in enumerate(reversed(scheme), start=1):
            fits &= content[colon - back] == byte
        starts = np.where(fits & (starts < 0), colon - len(scheme), starts)
    found = starts >= 0
    starts, hosts = starts[found], colon[found] + 3
    bare, at = [], searched.find(b"www.")
    while at >= 0:
        bare.append(at)
        at = searched.find(b"www.", at + 4)
    if bare:
        www = np.array(bare)
        www = www[~np.isin(www, hosts) & ~_ALNUM[content[www - 1]] & (content[www - 1] != ord("@"))]
        starts, hosts = np.concatenate([starts, www]), np.concatenate([hosts, www])
    if not len(starts):
        return
    stops = np.flatnonzero(~_URL[content])
    ends = stops[np.minimum(np.searchsorted(stops, hosts), len(stops) - 1)]
    trailing = _table(".,;:!?'\"")
    for _ in range(4):
        cut = trailing[content[ends - 1]]
        unopened = content[ends - 1] == ord(")")
        ends = ends - (cut | unopened)
    good = (ends - hosts >= 4) & _ALNUM[content[hosts]]
    # One that begins inside another is part of it.
    order = np.argsort(starts, kind="stable")
    good[order[1:]] &= starts[order[1:]] >= ends[order[:-1]]
    out.add("URL", starts[good], ends[good], 0.85)


_USCC_VALUES = np.full(256, 255, dtype=np.uint8)
for _index, _character in enumerate(checksums.USCC_ALPHABET):
    _USCC_VALUES[ord(_character)] = _USCC_VALUES[ord(_character.lower())] = _index


def _codes(groups: Groups, content: bytes, out: Candidates) -> None:
    """Runs of digits with letters right beside them, as whole words of letters and digits."""
    _usccs(groups, groups.starts[groups.n == 18], out)
    chosen = groups.letter_before | groups.letter_after
    inner, edges = groups.starts[chosen], groups.ends[chosen]
    if not len(inner):
        return
    starts = inner - _reach(groups.content, inner, _ALNUM, _TOKEN, back=True)
    ends = edges + _reach(groups.content, edges, _ALNUM, _TOKEN)
    starts, first = np.unique(starts, return_index=True)
    ends = ends[first]
    length = ends - starts
    _usccs(groups, starts[length == 18], out)
    letters = is_letter(groups.content[starts]).astype(np.int64)
    letters += is_letter(groups.content[starts]) & is_letter(groups.content[starts + 1])
    upper = groups.content[starts] & np.uint8(0xDF)
    rest = np.zeros(len(starts), dtype=np.bool_)
    for size in (9, 11):
        fits = np.flatnonzero(length == size)
        window = groups.content[starts[fits][:, None] + np.arange(size)]
        digit = (window - np.uint8(48)) < 10
        rest[fits] = digit[:, 2:].all(axis=1) & (digit[:, 1] | (letters[fits] == 2))
    passport = rest & (length == 9) & _table(groups.forms.passport_letters)[upper]
    passport &= (letters == 1) | _plate_letter(groups.content[starts + 1])
    out.add("PASSPORT", starts[passport], ends[passport], 0.35)
    permit = rest & _table(groups.forms.permit_letters)[upper]
    permit &= (letters == 1) | ((length == 9) & _plate_letter(groups.content[starts + 1]))
    out.add("HK_MO_PERMIT", starts[permit], ends[permit], 0.35)
    iban = (length >= 4) & (letters == 2) & ~_ALNUM[groups.content[starts - 1]]
    if "IBAN" in out.wanted:
        for start in starts[iban].tolist():
            _iban(content, start, groups.forms, out)


def _plate_letter(characters: Bytes) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = _table(PLATE_LETTERS)[characters & np.uint8(0xDF)]
    return known


def _usccs(groups: Groups, starts: Offsets, out: Candidates) -> None:
    rows = _USCC_VALUES[groups.content[starts[:, None] + np.arange(18)]]
    departments = [checksums.USCC_ALPHABET.index(letter) for letter in groups.forms.departments]
    good = (rows < 31).all(axis=1) & np.isin(rows[:, 0], departments) & (rows[:, 2:8] < 10).all(axis=1)
    starts, rows = starts[good], rows[good]
    letters = (rows[:, :17] >= 10).any(axis=1)
    person = ~letters & born_in_a_province(groups.forms, rows)
    valid = (checksums.uscc(rows[:, :17]) == rows[:, 17]) & ~person
    score = 0.3 + 0.25 * letters + 0.4 * valid - 0.3 * person
    out.add("CN_USCC", starts, starts + 18, score, valid)


_IBAN = re.compile(rb"[A-Za-z]{2}\d\d(?: ?[0-9A-Za-z]){11,40}")


def _iban(content: bytes, start: int, forms: Forms, out: Candidates) -> None:
    found = _IBAN.match(content, start, start + 64)
    length = forms.ibans.get(content[start : start + 2].decode().upper(), 0)
    if not found or not length or content[start + 2 : start + 4] in (b"00", b"01", b"99"):
        return
    text, end = "", start
    for byte in found[0]:
        if len(text) == length:
            break
        end += 1
        if byte != ord(" "):
            text += chr(byte)
    if len(text) < length or _ALNUM[content[end]]:
        return
    valid = checksums.iban_remainder(text.upper()) == 1
    out.add_one("IBAN", start, end, 0.5 + 0.45 * valid, checked=valid)


_ANCHORS: tuple[tuple[str, str], ...] = (
    ("network", r"[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:"),
    ("network", r"[0-9a-fA-F]{2}-[0-9a-fA-F]{2}-[0-9a-fA-F]{2}-[0-9a-fA-F]{2}-[0-9a-fA-F]{2}-[0-9a-fA-F]{2}"),
    ("plate", "(?:" + "|".join(PLATE_PROVINCES + NEVER_PLATE_PROVINCES) + ")[A-HJ-NP-Za-hj-np-z]"),
    ("key", r"sk-[A-Za-z0-9_-]{16}"),
    ("key", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    ("key", r"gh[pousr]_[A-Za-z0-9]{20}"),
    ("key", r"github_pat_[A-Za-z0-9_]{20}"),
    ("key", r"glpat-[A-Za-z0-9_-]{16}"),
    ("key", r"xox[abprs]-[A-Za-z0-9-]{10}"),
    ("key", r"AIza[A-Za-z0-9_-]{30}"),
    ("key", r"LTAI[A-Za-z0-9]{12}"),
    ("key", r"AKID[A-Za-z0-9]{16}"),
    ("key", r"hf_[A-Za-z0-9]{20}"),
    ("key", r"eyJ[A-Za-z0-9_-]{10}"),
)
_KEY = re.compile(rb"[A-Za-z0-9_.~+/-]{16,4096}=*")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}(?:\.[A-Za-z0-9_-]{0,4096})?")
_PLATE_REST = re.compile(
    rb"[A-HJ-NP-Za-hj-np-z](?:\xc2\xb7|\xe2\x80\xa2|[-. ])?(?:[A-HJ-NP-Za-hj-np-z0-9]{5,6}|[A-HJ-NP-Za-hj-np-z0-9]{4}"
    rb"(?=\xe5\xad\xa6|\xe6\x8c\x82|\xe8\xad\xa6|\xe6\xb8\xaf|\xe6\xbe\xb3))"
)


@cache
def _database() -> Any:
    import hyperscan

    flag = hyperscan.HS_FLAG_SOM_LEFTMOST
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression.encode() for _, expression in _ANCHORS],
        ids=list(range(len(_ANCHORS))),
        flags=[flag] * len(_ANCHORS),
    )
    return database


def _anchored(groups: Groups, searched: bytes, out: Candidates) -> None:
    content = groups.content
    import hyperscan

    found: list[tuple[int, int]] = []
    database = _database()
    database.scan(
        searched,
        match_event_handler=lambda number, start, *_: found.append((start, number)),
        scratch=hyperscan.Scratch(database),
    )
    over: dict[str, int] = {}
    for start, index in sorted(found):
        name = _ANCHORS[index][0]
        if start < over.get(name, 0):
            continue
        if name == "plate":
            over[name] = _plate(searched, start, groups.forms, out)
        elif name == "key":
            over[name] = _key(content, searched, start, out)
        else:
            over[name] = _network(content, searched, start, out)
    if "IPV6" in out.wanted:
        _short_ipv6(content, searched, out)


def _plate(searched: bytes, start: int, forms: Forms, out: Candidates) -> int:
    if searched[start : start + 3].decode() not in forms.plate_provinces:
        return start + 3
    found = _PLATE_REST.match(searched, start + 3, start + 16)
    if not found or not any(48 <= byte < 58 for byte in found[0]):
        return start + 3
    end = found.end()
    if _ALNUM[searched[end]]:
        return start + 3
    out.add_one("CN_PLATE", start, end, 0.8)
    return end


def _key(content: Bytes, searched: bytes, start: int, out: Candidates) -> int:
    if _ALNUM[content[start - 1]]:
        return start + 1
    jwt = searched.startswith(b"eyJ", start)
    found = (_JWT if jwt else _KEY).match(searched, start, start + 16_384)
    if not found:
        return start + (10 if jwt else 1)
    end = found.end()
    while searched[end - 1] in b".-/+":
        end -= 1
    out.add_one("API_KEY", start, end, 0.95)
    return end


_MAC = re.compile(rb"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_LABELLED_MAC = re.compile(rb"(?:MAC|mac)([0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2})(?![0-9A-Za-z:])")


def _network(content: Bytes, searched: bytes, start: int, out: Candidates) -> int:
    at = np.array([start])
    first = start - int(_reach(content, at, _NETWORK, MARGIN, back=True)[0])
    last = start + int(_reach(content, at, _NETWORK, MARGIN)[0])
    if _ALNUM[content[last]]:
        return last
    if _ALNUM[content[first - 1]]:
        found = _LABELLED_MAC.search(searched, first - 3, last)
        if found:
            out.add_one("MAC", found.start(1), found.end(1), 0.85)
        return last
    while last > first and searched[last - 1] in b".-":
        last -= 1
    if searched[last - 1 : last] == b":" and searched[last - 2 : last] != b"::":
        last -= 1
    text = searched[first:last].lstrip(b".-")
    first = last - len(text)
    if _MAC.fullmatch(text):
        out.add_one("MAC", first, last, 0.85)
    else:
        _ipv6(text, first, out)
    return max(last, start + 1)


def _ipv6(text: bytes, start: int, out: Candidates) -> None:
    if len(text) > 45:
        return
    try:
        ipaddress.IPv6Address(text.decode())
    except ValueError:
        return
    out.add_one("IPV6", start, start + len(text), 0.8)


def _short_ipv6(content: Bytes, searched: bytes, out: Candidates) -> None:
    """Those with `::`: a word of hexadecimal digits and colons with nothing of letters beside it."""
    at = np.flatnonzero((content[:-1] == ord(":")) & (content[1:] == ord(":")))
    at = at[_HEX[content[at - 1]] | _HEX[content[np.minimum(at + 2, len(content) - 1)]]]
    if not len(at):
        return
    table = _table("0123456789abcdefABCDEF:.")
    starts = at - _reach(content, at, table, 45, back=True)
    ends = at + _reach(content, at, table, 45)
    good = ~_ALNUM[content[starts - 1]] & ~_ALNUM[content[ends]] & (ends - starts >= 4)
    seen = -1
    for start, end in zip(starts[good].tolist(), ends[good].tolist(), strict=True):
        if start > seen:
            text = searched[start:end].rstrip(b".")
            if any(48 <= byte < 58 for byte in text):
                _ipv6(text, start, out)
            seen = start


_WECHAT = re.compile(
    r"[\s:=\"'(\[]{0,4}(?:：|号|是|为|ID|id|[\s:=\"']){0,6}([A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_@.-])".encode()
)
_SECRET = re.compile(
    r"(?:是|为|[\s\"']){0,6}(?:=>|[:=]|：)\s{0,4}[\"']?([!-~]{6,256})|(?:是|为)\s{0,4}([!-~]{6,256})".encode()
)


def _after_words(searched: bytes, words: Words, out: Candidates) -> None:
    """Values that their word announces: `微信号：abc_123`, `password=…`; offsets of `words` have no margin."""
    for name, kind, expression in (("wechat", "WECHAT", _WECHAT), ("secret", "API_KEY", _SECRET)):
        if kind not in out.wanted:
            continue
        for end in (words.ends[(words.bits & BITS[name]) > 0] + MARGIN).tolist():
            found = expression.match(searched, end, end + 300)
            if not found:
                continue
            group = 1 if found[1] is not None else 2
            first, last = found.span(group)
            while last > first and searched[last - 1] in b"\"',;.)]}>":
                last -= 1
            if last - first >= 6 and (kind != "API_KEY" or _secret(searched[first:last])):
                out.add_one(kind, first, last, 0.65)


_WHOLE_WECHAT = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{5,19}")


def _named_fields(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """Fields called `wechat`, `password`, … whose whole value is one."""
    if not out.wanted & {"WECHAT", "API_KEY"}:
        return
    named = words.of_names(areas)
    short = (areas.ends - areas.starts >= 6) & (areas.ends - areas.starts <= 256)
    for name, kind in (("wechat", "WECHAT"), ("secret", "API_KEY")):
        for index in np.flatnonzero(short & ((named & BITS[name]) > 0)).tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            text = searched[start:end]
            if _WHOLE_WECHAT.fullmatch(text) if kind == "WECHAT" else _secret(text) and b" " not in text:
                out.add_one(kind, start, end, 0.65)


def _secret(text: bytes) -> bool:
    """Not a plain word or number: letters together with digits or signs."""
    return bool(re.search(rb"[A-Za-z]", text) and re.search(rb"[^A-Za-z_.]", text)) and not text.startswith(b"http")
