"""Codes of letters and digits: those of companies, of passports and permits, and numbers of accounts."""

from __future__ import annotations

import numpy as np

from services.runtime.deid import checksums
from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.pseudonyms import plans
from services.runtime.deid.pseudonyms.plans import FOREIGN_PASSPORT_LETTERS, PLATE_LETTERS
from services.runtime.deid.reaches import ALNUM, among_bytes, is_alphanumeric, is_digit, is_letter, reach, windows
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.digits import born_in_a_province
from services.runtime.deid.recognisers.groups import Groups, number

_LONGEST = 40
_USCC_VALUES = np.full(256, 255, dtype=np.uint8)
for _index, _character in enumerate(checksums.USCC_ALPHABET):
    _USCC_VALUES[ord(_character)] = _USCC_VALUES[ord(_character.lower())] = _index


def find(groups: Groups, out: Candidates) -> None:
    """Runs of digits with letters right beside them, as whole words of letters and digits."""
    _usccs(groups, groups.starts[groups.of_width(18)], out)
    chosen = groups.letter_before | groups.letter_after
    inner, edges = groups.starts[chosen], groups.ends[chosen]
    if not len(inner):
        return
    starts = inner - reach(groups.content, inner, ALNUM, _LONGEST, back=True)
    ends = edges + reach(groups.content, edges, ALNUM, _LONGEST)
    starts, first = np.unique(starts, return_index=True)
    ends = ends[first]
    length = ends - starts
    _usccs(groups, starts[length == 18], out)
    _keys_of_two_parts(groups.content, starts[length == 32], out)
    letters = is_letter(groups.content[starts]).astype(np.int64)
    letters += is_letter(groups.content[starts]) & is_letter(groups.content[starts + 1])
    upper = groups.content[starts] & np.uint8(0xDF)
    rest = np.zeros(len(starts), dtype=np.bool_)
    for size in (8, 9, 11):
        fits = np.flatnonzero(length == size)
        window = windows(groups.content, starts[fits], size)
        digit = (window - np.uint8(48)) < 10
        rest[fits] = digit[:, 2:].all(axis=1) & (digit[:, 1] | (letters[fits] == 2))
    passport = rest & (length == 9) & among_bytes(groups.forms.passport_letters)[upper]
    passport &= (letters == 1) | _plate_letter(groups.content[starts + 1])
    out.add("PASSPORT", starts[passport], ends[passport], 0.35)
    foreign = rest & (length < 10) & (_FOREIGN_LETTERS | among_bytes(groups.forms.passport_letters))[upper]
    out.add("PASSPORT", starts[foreign], ends[foreign], 0.2)
    permit = rest & (length > 8) & among_bytes(groups.forms.permit_letters)[upper]
    permit &= (letters == 1) | ((length == 9) & _plate_letter(groups.content[starts + 1]))
    out.add("HK_MO_PERMIT", starts[permit], ends[permit], 0.35)
    if "IBAN" in out.wanted:
        _ibans(groups, starts[(length >= 4) & (letters == 2) & ~ALNUM[groups.content[starts - 1]]], out)


def _keys_of_two_parts(content: Bytes, starts: Offsets, out: Candidates) -> None:
    """Of Zhipu: 32 digits and small letters, a point, and 16 digits and letters."""
    starts = starts[(content[starts + 32] == ord(".")) & _SMALL[windows(content, starts, 32)].all(axis=1)]
    starts = starts[reach(content, starts + 33, ALNUM, 17) == 16]
    out.add("API_KEY", starts, starts + 49, 0.9)


_SMALL = among_bytes("0123456789abcdefghijklmnopqrstuvwxyz")
_FOREIGN_LETTERS = among_bytes(FOREIGN_PASSPORT_LETTERS)


def _plate_letter(characters: Bytes) -> Flags:
    known: Flags = among_bytes(PLATE_LETTERS)[characters & np.uint8(0xDF)]
    return known


def _usccs(groups: Groups, starts: Offsets, out: Candidates) -> None:
    departments = groups.forms.departments
    starts = starts[among_bytes(departments + departments.lower())[groups.content[starts]]]
    rows = _USCC_VALUES[windows(groups.content, starts, 18)]
    good = (rows < 31).all(axis=1) & (rows[:, 2:8] < 10).all(axis=1)
    starts, rows = starts[good], rows[good]
    letters: Flags = np.asarray((rows[:, :17] >= 10).any(axis=1))
    person = ~letters
    person[person] = born_in_a_province(groups.forms, rows[person])
    valid = (checksums.uscc(rows[:, :17]) == rows[:, 17]) & ~person
    told: Flags = np.asarray((rows >= 10).any(axis=1))
    bare = valid & ~told
    told[bare] = _registered(rows[bare])
    score = 0.3 + 0.25 * letters + 0.4 * (valid & told) - 0.3 * person
    out.add("CN_USCC", starts, starts + 18, score, valid)


_KINDS, _DIVISIONS = (np.isin(np.arange(100), codes) for codes in (plans.KINDS, plans.PROVINCES))
_NATIONAL = 10
"""In the place of a province, of what is registered with the state itself."""


def _registered(rows: Bytes) -> Flags:
    """Which rows of digits alone have all that a code has: every 31st row of any digits has its checksum."""
    province = number(rows, 2, 4)
    known: Flags = _KINDS[number(rows, 0, 2)] & (_DIVISIONS[province] | (province == _NATIONAL))
    known &= checksums.organisation(rows[:, 8:16]) == rows[:, 16]
    return known


_IBAN_WINDOW = 64
"""Bytes: the longest IBAN with a blank or a dash after every fourth character, and room for more."""
_DASHED, _UNUSUAL = 0.2, 0.15
"""What dashes, and check digits that are never given, take from a score."""


def _ibans(groups: Groups, starts: Offsets, out: Candidates) -> None:
    """Country and check digits together, the account's characters with at most one sign between two of them."""
    content = groups.content
    country = (content[starts] & 0x1F) * np.int64(32) + (content[starts + 1] & 0x1F)
    lengths = np.zeros(32 * 32, dtype=np.int64)
    for name, length in groups.forms.ibans.items():
        lengths[(ord(name[0]) & 0x1F) * 32 + (ord(name[1]) & 0x1F)] = length
    tens, ones = content[starts + 2], content[starts + 3]
    check = (tens - np.uint8(48)) * np.int64(10) + (ones - np.uint8(48))
    known = (lengths[country] > 0) & is_digit(tens) & is_digit(ones)
    starts, usual = starts[known], ((check > 1) & (check < 99))[known]
    if not len(starts):
        return
    padded = np.concatenate([content, np.zeros(_IBAN_WINDOW, dtype=np.uint8)])
    window = windows(padded, starts, _IBAN_WINDOW)
    own = is_alphanumeric(window)
    between = among_bytes(" -")[window] & np.roll(own, 1, axis=1)
    own &= np.logical_and.accumulate(own | between, axis=1)
    count = np.cumsum(own, axis=1)
    wanted = lengths[(window[:, 0] & 0x1F) * np.int64(32) + (window[:, 1] & 0x1F)]
    last = np.argmax(count == wanted[:, None], axis=1)
    ends = starts + last + 1
    dashed = ((window == ord("-")) & (np.arange(_IBAN_WINDOW) < last[:, None])).any(axis=1)
    whole = (last > 0) & ~ALNUM[padded[ends]] & ~(dashed & (padded[starts - 1] == ord("-")))
    for length in np.unique(wanted[whole]).tolist():
        chosen = whole & (wanted == length)
        places = np.argsort(~own[chosen], axis=1, kind="stable")[:, :length]
        valid = checksums.iban(np.take_along_axis(window[chosen], places, axis=1)) == 1
        valid &= usual[chosen]
        score = 0.5 + 0.45 * valid - _DASHED * dashed[chosen] - _UNUSUAL * ~usual[chosen]
        out.add("IBAN", starts[chosen], ends[chosen], score, valid)
