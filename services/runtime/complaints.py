"""What msgspec says of invalid input, as a pointer into the body and a sentence in each language."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from contracts.problems import Wrong

MOST_WRONGS = 20

_AT = re.compile(r"(?P<what>.*) - at `(?P<path>[^`]*)`", re.DOTALL)
_STEP = re.compile(r"\[(?P<index>[^\]]*)\]|\.?(?P<name>[^.\[]+)")

_KINDS = {
    "str": "字符串",
    "int": "整数",
    "float": "数字",
    "bool": "布尔值",
    "array": "数组",
    "object": "对象",
    "null": "null",
    "uuid": "UUID",
}

# msgspec's sentence -> (pointer below the place, 中文, English)
_SENTENCES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str, str]]]] = [
    (
        re.compile(r"Object missing required field `(.*)`", re.DOTALL),
        lambda found: (found[1], "缺少该字段", "is required"),
    ),
    (
        re.compile(r"Object contains unknown field `(.*)`", re.DOTALL),
        lambda found: (found[1], "未知字段", "is not a known field"),
    ),
    (
        re.compile(r"Expected `(.+)` of length >= (\d+)"),
        lambda found: ("", f"至少需要 {found[2]} {_unit(found[1])}", f"must have at least {_count(found)}"),
    ),
    (
        re.compile(r"Expected `(.+)` of length <= (\d+)"),
        lambda found: ("", f"最多允许 {found[2]} {_unit(found[1])}", f"must have at most {_count(found)}"),
    ),
    (
        re.compile(r"Expected `(.+)` matching regex .*", re.DOTALL),
        lambda _: ("", "格式不正确", "does not have the required form"),
    ),
    (
        re.compile(r"Expected `(?:int|float)` (>=|<=|>|<) (\S+)"),
        lambda found: ("", f"必须 {found[1]} {found[2]}", f"must be {found[1]} {found[2]}"),
    ),
    (
        re.compile(r"Expected `(.+)`, got `(.+)`"),
        lambda found: (
            "",
            f"类型应为{_kinds(found[1])}，实际为{_kinds(found[2])}",
            f"must be {found[1].replace(' | ', ' or ')}, not {found[2]}",
        ),
    ),
    (
        re.compile(r"Invalid enum value (.*)", re.DOTALL),
        lambda found: ("", f"不支持的取值 {found[1]}", f"must not be {found[1]}"),
    ),
    (re.compile(r"Invalid UUID"), lambda _: ("", "不是有效的 UUID", "is not a valid UUID")),
    (
        re.compile(r"(?:Number|Integer value) out of range"),
        lambda _: ("", "数值超出范围", "is out of range"),
    ),
]


def wrong_of(message: str, under: str | None = None) -> Wrong:
    """The field error that a message of msgspec's tells of; `under` is the field in which it was found."""
    steps = [] if under is None else [under]
    if at := _AT.fullmatch(message):
        message = at["what"]
        steps += [step["index"] if step["name"] is None else step["name"] for step in _STEP.finditer(at["path"][1:])]
    for pattern, sentence in _SENTENCES:
        if found := pattern.fullmatch(message):
            below, zh, en = sentence(found)
            return Wrong(pointer(*steps, *([below] if below else [])), zh, en)
    return Wrong(pointer(*steps), f"无效（{message}）", f"is not valid ({message})")


def pointer(*steps: str) -> str:
    """RFC 6901."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _kinds(names: str) -> str:
    return "或".join(_KINDS.get(name, f" {name} ") for name in names.split(" | "))


def _unit(kind: str) -> str:
    return "个字符" if kind == "str" else "项"


def _count(found: re.Match[str]) -> str:
    unit = "character" if found[1] == "str" else "item"
    return f"{found[2]} {unit}" + ("" if found[2] == "1" else "s")


def every_wrong(
    given: object, kind: type[Any], first: str, within: Mapping[str, Sequence[Wrong]] | None = None
) -> list[Wrong]:
    """All that is wrong with what was given for a struct of `kind`, or the first twenty.

    msgspec stops at `first`; whoever filled in a form wants to know the rest too. `within`: what is known to be wrong
    with fields, by name, which are looked into no further.
    """
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        return [wrong_of(first)]
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    unknown = islice((name for name in given if name not in known), MOST_WRONGS)
    wrongs = [wrong_of(f"Object contains unknown field `{name}`") for name in unknown]
    for name, field in known.items():
        if name not in given:
            if field.required:
                wrongs.append(wrong_of(f"Object missing required field `{name}`"))
        elif within and name in within:
            wrongs += within[name]
        else:
            try:
                msgspec.convert(given[name], field.type, strict=True)
            except msgspec.ValidationError as error:
                wrongs.append(wrong_of(str(error), under=name))
    return wrongs[:MOST_WRONGS] or [wrong_of(first)]
