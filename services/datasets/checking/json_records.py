"""Records written as JSON: a line each, or the members of one document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import jiter

from services.datasets.checking.encodings import BYTE_ORDER_MARK
from services.datasets.checking.findings import Findings, Verdict
from services.datasets.checking.limits import Limits
from services.datasets.checking.shapes import shape_of
from services.datasets.checking.splitting import Document, lines

_SPACE = b" \t\r"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_BEYOND = 16  # levels: what is nested a little too deeply is one record's fault, what is deeper was made to hurt
_ALIKE = bytes.maketrans(b"{}", b"[]")
# What jiter says, and the code of it; it tells no kinds of errors apart but by their text.
_COMPLAINTS = (
    ("duplicate key", "duplicate_key"),
    ("recursion limit", "too_deeply_nested"),
    ("number out of range", "number_too_long"),
    ("hex escape", "lone_surrogate"),
    ("invalid unicode", "not_utf8"),
)


class NotJson(Exception):
    """The text is the problem's code."""


def check_lines(chunks: Iterable[bytes], limits: Limits) -> Verdict:
    """JSON Lines: an object on each line, blank lines left out."""
    findings = Findings("jsonl", limits)
    for number, line in lines(chunks, limits.record_bytes):
        if line is None:
            findings.bad(number, "line_too_long")
            continue
        if number == 1 and line.startswith(BYTE_ORDER_MARK):
            findings.note(number, "byte_order_mark")
            line = line[len(BYTE_ORDER_MARK) :]  # noqa: PLW2901
        if line.strip(_SPACE):
            _check_record(findings, number, line)
    return findings.verdict()


def check_document(chunks: Iterable[bytes], limits: Limits, *, of_objects: bool) -> Verdict:
    """One array of objects, or one object, which is the only record then."""
    findings = Findings("json", limits)
    document = Document(_without_mark(chunks, findings), limits.record_bytes, limits.nesting + _BEYOND)
    if of_objects:
        for member in document.members():
            if member.content is None:
                findings.bad(member.line, "record_too_long")
            else:
                _check_record(findings, member.line, member.content)
    else:
        _check_object(findings, document)
    return findings.verdict(document.problem)


def decode(content: bytes, limits: Limits) -> Any:
    """A JSON text as RFC 8259 has it, UTF-8, without duplicate keys. Raises NotJson."""
    try:
        value = jiter.from_json(content, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        if b"\0" in content:
            raise NotJson("null_byte") from None
        complaint = str(error).lower()
        code = next((code for words, code in _COMPLAINTS if words in complaint), "json_syntax")
        if code == "json_syntax" and not _is_utf8(content):
            code = "not_utf8"
        raise NotJson(code) from None
    if content.count(b"[") + content.count(b"{") > limits.nesting and _is_deeper(content, limits.nesting):
        raise NotJson("too_deeply_nested")
    return value


def _is_deeper(content: bytes, most: int) -> bool:
    """Whether brackets of a JSON text are nested in each other more often than that."""
    brackets = _STRING.sub(b"", content).translate(_ALIKE, _NO_BRACKETS)
    for _ in range(most):
        brackets = brackets.replace(b"[]", b"")  # the innermost of each
    return bool(brackets)


def _check_record(findings: Findings, number: int, content: bytes) -> None:
    try:
        record = decode(content, findings.limits)
    except NotJson as error:
        findings.bad(number, str(error), content)
        return
    if not isinstance(record, dict):
        findings.bad(number, "not_an_object")
    elif len(record) > findings.limits.columns:
        findings.bad(number, "too_many_fields")
    else:
        findings.fields.observe(record)
        findings.record(number, shape_of(record))


def _check_object(findings: Findings, document: Document) -> None:
    """Member by member, as its values may be large together."""
    record: dict[str, Any] = {}
    names: set[str] = set()
    first, held = 1, 0
    for member in document.members():
        first = first if names else member.line
        try:
            name, value = _named(member.content, names, findings.limits)
        except NotJson as error:
            findings.bad(member.line, str(error), member.content or b"")
            continue
        names.add(name)
        findings.fields.observe({name: value})
        held += len(member.content or b"")
        if held <= findings.limits.record_bytes:
            record[name] = value
    if not findings.bad_records:
        findings.record(first, shape_of(record) if len(record) == len(names) else None)


def _named(content: bytes | None, known: set[str], limits: Limits) -> tuple[str, Any]:
    """A member of an object, of which those `known` came before. Raises NotJson."""
    if content is None:
        raise NotJson("record_too_long")
    if len(known) >= limits.columns:
        raise NotJson("too_many_fields")
    decoded = decode(b"{%b}" % content, limits)
    if len(decoded) != 1:
        raise NotJson("json_syntax")  # a comma too many
    [(name, value)] = decoded.items()
    if name in known:
        raise NotJson("duplicate_key")
    return name, value


def _without_mark(chunks: Iterable[bytes], findings: Findings) -> Iterable[bytes]:
    held = b""
    looking = True
    for chunk in chunks:
        if not looking:
            yield chunk
            continue
        held += chunk
        if len(held) < len(BYTE_ORDER_MARK):
            continue
        looking = False
        if held.startswith(BYTE_ORDER_MARK):
            findings.note(1, "byte_order_mark")
            held = held[len(BYTE_ORDER_MARK) :]
        yield held
    if looking:
        yield held


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
