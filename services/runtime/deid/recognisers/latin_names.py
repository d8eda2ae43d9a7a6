"""Names of people in Latin letters: after a label that is one of a person, after a role, after a title."""

from __future__ import annotations

import re
from typing import Final

from services.runtime.deid.recognisers.vocabulary import PERSONS

LONGEST_BEFORE: Final = 32
"""Bytes before a word that tell whose name it is."""

_BLOCKS = (0xC0, 0x2B0), (0x1E00, 0x1F00), (0x2C60, 0x2C80), (0xA720, 0xA800)
"""Of Latin letters beyond ASCII, any of which a pseudonym may have."""
_OTHERS = [letter for block in _BLOCKS for letter in map(chr, range(*block)) if letter.isalpha()]
LETTER = "A-Za-z" + "".join(_OTHERS)
CAPITAL = "A-Z" + "".join(filter(str.isupper, _OTHERS))
_WORD = rf"[{CAPITAL}](?:\.|(?:[{LETTER}]|(?!['’]s\b)['’-](?=[{LETTER}]))*)(?![{LETTER}0-9_@]|\.[a-z])"


def _words(between: str) -> str:
    return rf"({_WORD}(?: (?:{between} ){{0,2}}{_WORD}){{0,3}})"


PARTICLE = r"(?!(?:and|are|at|but|for|has|in|is|not|of|on|or|the|to|was|who)\b)[a-z]{2,3}"
"""Whatever a `van` or `de` may have become in a pseudonym."""
_TOLD = _words(PARTICLE)
_SAID = _words("(?:van|von|der|den|de|da|di|del|della|dos|du|la|le|bin|ibn|al|el|ter|zu)")
_SIGN = r"[ \t\"'*]{0,4}[:：=][\s\"'“*]{0,8}"
_LABELLED = re.compile(rf"(?:{_SIGN}|\s(is|was) ){_TOLD}")
_BESIDE = re.compile(rf"[\s:：\"“]{{0,8}}{_SAID}")
_IN_A_ROLE = re.compile(
    rf"(?: (?:person|name))?{_SIGN}{_TOLD}(?=\s*(?:\Z|[\n,;.，。；|()<\"*]|\s\s|[A-Z][\w ]{{0,24}}[:：]))"
)
_ADDRESSED = re.compile(rf"\.? {{1,2}}{_SAID}")

_WHOSE = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]+)(?:['’]s)?[\s_-]?\Z")
_PARTS = frozenset({"first", "given", "last", "family", "middle", "maiden", "sur", "fore"})
_POSSESSIVES = frozenset({"my", "your", "his", "her"})
_ALONE = re.compile(r"(?:(?:^|[^A-Za-z\s\"'*])[ \t\"'*]+|(?:^|[^A-Za-z0-9_./$\\@\s\"'*-])|\s\s[\"'*]*)\Z", re.MULTILINE)
"""After a line's end, an escaped one of two blanks included, or after anything but a word."""
_OF_A_STREET = re.compile(r"\d[^\n,]{0,24}[A-Z][a-z]+ \Z")
LABELS = frozenset({
    "account", "address", "age", "amount", "apt", "birthday", "cell", "city", "client", "comment", "company", "contact",
    "country", "customer", "date", "department", "dob", "email", "employee", "family", "fax", "first", "full", "gender",
    "given", "id", "insurance", "invoice", "last", "md", "message", "middle", "mobile", "name", "nationality", "notes",
    "number", "occupation", "order", "passport", "password", "patient", "phd", "phone", "position", "postal",
    "reference", "relationship", "sex", "ssn", "state", "status", "subject", "suite", "tel", "telephone", "title",
    "user", "username", "website", "zip",
})  # fmt: skip
"""Words that the next label begins with, or an address or what somebody has after the name."""
_NOBODYS = frozenset({
    "admin", "administrator", "agency", "all", "association", "center", "centre", "chairman", "clinic", "colleagues",
    "college", "committee", "corp", "corporation", "desk", "dr", "editor", "everyone", "foundation", "good", "great",
    "group", "hello", "helpdesk", "hey", "hi", "hiring", "hospital", "hotline", "hr", "inc", "institute", "llc", "ltd",
    "madam", "manager", "minister", "mr", "mrs", "ms", "okay", "please", "president", "prof", "reception", "sales",
    "school", "service", "services", "sir", "sorry", "speaker", "support", "team", "thank", "thanks", "university",
    "valued", "yes",
})  # fmt: skip
"""Words of offices, of companies and of greetings."""


def after_a_label(before: str, after: str) -> tuple[int, int] | None:
    """Where in `after`, what follows the word `name`, one stands; `before`: what the word follows."""
    found = _LABELLED.match(after)
    if not found:
        return None
    whose = _WHOSE.search(before)
    word = whose[1].lower() if whose else ""
    if word in PERSONS or (word in _POSSESSIVES and found[1]):
        return _of_somebody(found, 1, 1 if word in _PARTS else 2)
    return _of_somebody(found, 2) if not found[1] and _ALONE.search(before) else None


def beside(after: str) -> tuple[int, int] | None:
    """Of two words or more, after a word of another language."""
    return _of_somebody(_BESIDE.match(after), 2)


def in_a_role(before: str, after: str) -> tuple[int, int] | None:
    """After `Customer:` and the like, and nothing but the name."""
    found = _IN_A_ROLE.match(after)
    return _of_somebody(found, 2) if found and _ALONE.search(before) else None


def addressed(before: str, title: str, after: str) -> tuple[int, int] | None:
    """After `Dear`, or after a title; `Dr.` after the words of a street is its Drive."""
    if title == "Dear":
        return _of_somebody(_ADDRESSED.match(after), 2)
    if title == "Dr" and _OF_A_STREET.search(before):
        return None
    return _of_somebody(_ADDRESSED.match(after), 1)


def _of_somebody(found: re.Match[str] | None, least: int, most: int = 2) -> tuple[int, int] | None:
    """What is left without the words of the next label: at least `least`, and at most `most` before an unknown one."""
    if not found:
        return None
    run = found[found.re.groups]
    words = run.split(" ")
    label = next((index for index, word in enumerate(words) if word.lower() in LABELS), None)
    if label is None and LABEL_ENDS.match(found.string, found.end()):
        label = min(len(words) - 1, most)
    words = words[:label]
    while words and words[-1].islower():
        words.pop()
    if len(words) < least or not _NOBODYS.isdisjoint(word.rstrip(".").lower() for word in words):
        return None
    start = found.start(found.re.groups)
    return start, start + len(" ".join(words))


LABEL_ENDS = re.compile(r"(?: [A-Z][a-z]*)?[ *]{0,3}[:：=]")
