"""What of a training configuration cannot be right, and what is probably not meant."""

from __future__ import annotations

import difflib
import re

import msgspec

from contracts.problems import InvalidTrainConfig, Wrong
from services.runtime.train_config.known_keys import KEYS, Held, Known
from services.runtime.train_config.reading import Node, read, wrong

_MOST_WRONGS = 20
_MOST_WARNINGS = 100
_LONGEST_SHOWN = 60

_HOLDS: dict[str, Held] = {
    "text": "text", "date": "text", "int": "whole", "float": "number", "bool": "yes_no", "list": "list",
    "mapping": "mapping",
}  # fmt: skip
_NAMES: dict[Held, tuple[str, str]] = {
    "text": ("文本", "text"),
    "whole": ("整数", "a whole number"),
    "number": ("数字", "a number"),
    "yes_no": ("true 或 false", "true or false"),
    "list": ("列表", "a list"),
    "mapping": ("映射", "a mapping"),
}
# What other readers of YAML, and Python, take for a number, and YAML 1.1 does not.
_EXPONENT = re.compile(r"([-+]?)(\d+)(\.\d*)?[eE]([-+]?)(\d{1,3})", re.ASCII)


class Checked(msgspec.Struct, frozen=True):
    """`warnings` in the order of the file, at most so many."""

    root: Node
    warnings: tuple[Wrong, ...]


def check(content: bytes) -> Checked:
    """Takes at most a second of one core, whatever the bytes are. Raises InvalidTrainConfig."""
    root = read(content)
    wrongs: list[Wrong] = []
    warnings: list[Wrong] = []
    for key, value in root.entries:
        if len(wrongs) >= _MOST_WRONGS:
            break
        known = KEYS.get(key.text) if key.kind == "text" else None
        if known is None:
            if len(warnings) < _MOST_WARNINGS:
                warnings.append(_unknown(key))
            continue
        _check_value(key, value, known, wrongs, warnings)
    if wrongs:
        raise InvalidTrainConfig(*wrongs)
    return Checked(root, tuple(warnings[:_MOST_WARNINGS]))


def _check_value(key: Node, value: Node, known: Known, wrongs: list[Wrong], warnings: list[Wrong]) -> None:
    pointer = f"/{key.text}"
    if value.kind == "null":
        return
    holds = _HOLDS.get(value.kind, "text")
    fits = holds in known.holds or (holds == "whole" and "number" in known.holds)
    if not fits and value.plain and "number" in known.holds and (written := _as_yaml_1_1(value.text)):
        # A recent LLaMA-Factory reads it as the number that is meant, an older one and PyYAML as text.
        warnings.append(
            wrong(
                f"YAML 1.1（如 PyYAML）把 {value.text} 读作文本而不是数字，请写成 {written}",
                f"YAML 1.1 (PyYAML, for one) reads {value.text} as text, not as a number: write {written}",
                value,
                pointer,
            )
        )
    elif not fits:
        zh = "或".join(_NAMES[kind][0] for kind in _NAMES if kind in known.holds)
        en = " or ".join(_NAMES[kind][1] for kind in _NAMES if kind in known.holds)
        got_zh, got_en = _NAMES[holds]
        shown = f" {value.text[:_LONGEST_SHOWN]}" if value.text else ""
        wrongs.append(
            wrong(f"应为{zh}，实际是{got_zh}{shown}", f"must be {en}, but is {got_en}{shown}", value, pointer)
        )
    elif known.secret:
        warnings.append(
            wrong(
                "这是密钥：配置的每个版本都会保留，可读取配置的人都能看到，请改用环境变量",
                "is a secret: every version of the configuration is kept, for whoever may read it; "
                "use an environment variable",
                value,
                pointer,
            )
        )
    elif known.choices and value.kind == "text" and value.text not in known.choices:
        choices = ", ".join(known.choices)
        shown = value.text[:_LONGEST_SHOWN]
        warnings.append(
            wrong(f"未知取值 {shown}，已知的有：{choices}", f"{shown} is none of {choices}", value, pointer)
        )


def _unknown(key: Node) -> Wrong:
    name = key.text[:_LONGEST_SHOWN]
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    close = difflib.get_close_matches(name, KEYS, 1, 0.8)
    zh, en = "未知的键", "is not a known key"
    if close:
        zh, en = f"{zh}，是否想写 {close[0]}？", f"{en}; is {close[0]} meant?"
    return wrong(zh, en, key, pointer)


def _as_yaml_1_1(text: str) -> str | None:
    """The number as every reader reads it, none where it is no number."""
    found = _EXPONENT.fullmatch(text)
    if found is None:
        return None
    sign, whole, rest, exponent_sign, exponent = found.groups()
    fraction = rest if rest and rest != "." else ".0"
    return f"{sign}{whole}{fraction}e{exponent_sign or '+'}{exponent}"
