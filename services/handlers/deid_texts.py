"""Decisions on texts that are de-identified or brought back on request: that it is on record, once."""

from __future__ import annotations

import msgspec

from contracts.deid_texts import RecordTextsDeidentified, RecordTextsReversed
from events.deid_texts import DeidTexts, TextsDeidentified, TextsReversed


def record_texts_deidentified(
    texts: DeidTexts, command: RecordTextsDeidentified, _: None
) -> tuple[TextsDeidentified, ...]:
    return () if texts.recorded else (TextsDeidentified(**msgspec.structs.asdict(command)),)


def record_texts_reversed(texts: DeidTexts, command: RecordTextsReversed, _: None) -> tuple[TextsReversed, ...]:
    return () if texts.recorded else (TextsReversed(**msgspec.structs.asdict(command)),)
