"""Which training format a record has, by its fields, as LLaMA-Factory and TRL read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

Shape = Literal["alpaca", "sharegpt", "preference", "text"]

# Names under which the better and the worse answer are known.
PAIRS = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("response_j", "response_k"),
)
TURNS = ("conversations", "messages")
_LIST_OF_ANSWERS = 2


def shape_of(record: Mapping[str, Any]) -> Shape | None:
    """Of a JSON record."""
    for better, worse in PAIRS:
        if better in record and worse in record:
            return "preference" if _is_answer(record[better]) and _is_answer(record[worse]) else None
    for name in TURNS:
        if name in record:
            return "sharegpt" if _are_turns(record[name]) else None
    if isinstance(record.get("instruction"), str) and "output" in record:
        output = record["output"]
        if isinstance(output, str):
            return "alpaca"
        ranked = (
            isinstance(output, list) and len(output) >= _LIST_OF_ANSWERS and all(isinstance(o, str) for o in output)
        )
        return "preference" if ranked else None
    return "text" if isinstance(record.get("text"), str) else None


def shape_of_columns(texts: Collection[str], turns: Collection[str] = ()) -> Shape | None:
    """Of a table: its columns of text, and those that hold lists of turns."""
    columns = {*texts, *turns}
    if any(better in columns and worse in columns for better, worse in PAIRS):
        return "preference"
    if any(name in turns for name in TURNS):
        return "sharegpt"
    if "instruction" in texts and "output" in texts:
        return "alpaca"
    return "text" if "text" in texts else None


def _is_answer(value: object) -> bool:
    return isinstance(value, str) or _is_turn(value) or _are_turns(value)


def _are_turns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_turn(turn) for turn in value)


def _is_turn(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("from"), str):
        return isinstance(value.get("value"), str)
    if not isinstance(value.get("role"), str):
        return False
    # A turn that calls tools may have no text; one with images has a list of parts.
    return isinstance(value.get("content"), str | list) or isinstance(value.get("tool_calls"), list)
