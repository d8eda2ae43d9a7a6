"""Plain text, a document on each line, as pretraining reads it."""

from __future__ import annotations

from collections.abc import Iterable

from services.datasets.checking.encodings import BYTE_ORDER_MARK
from services.datasets.checking.findings import Findings, Verdict
from services.datasets.checking.limits import Limits
from services.datasets.checking.splitting import lines


def check_text(chunks: Iterable[bytes], limits: Limits) -> Verdict:
    findings = Findings("text", limits)
    for number, line in lines(chunks, limits.record_bytes):
        if line is None:
            findings.bad(number, "line_too_long")
            continue
        if number == 1 and line.startswith(BYTE_ORDER_MARK):
            findings.note(number, "byte_order_mark")
            line = line[len(BYTE_ORDER_MARK) :]  # noqa: PLW2901
        if b"\0" in line:
            findings.bad(number, "null_byte")
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError:
            findings.bad(number, "not_utf8", line)
            continue
        if text.strip():
            findings.record(number, "text")
    return findings.verdict()
