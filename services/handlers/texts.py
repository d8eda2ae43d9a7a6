"""What text that people give may hold, and how what it may not hold is told."""

from __future__ import annotations

import re
import unicodedata

from contracts.problems import Wrong

LONGEST_NAME = 200  # of a project or a person
_SERVICES = "service:"

# Unicode's Cc (control), Cs (lone surrogates), Zl and Zp (line and paragraph separator).
CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028\\u2029]")
_CONTROL_BUT_LAYOUT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")

# What is not to be seen, or turns the direction of text: names of one look would be different ones. Of what joins or
# varies the character before it (ZWJ and ZWNJ in emoji and in many scripts, variation selectors, marks) names may hold
# any but begin with none, so that there is something to be seen.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u115f\u1160\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\u2800\u3164\ufeff\uffa0]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]"  # tags, but of flags
)
_JOINING = re.compile(
    "[\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u2061-\u2065\u206a-\u206f\u2800\ufe00-\ufe0f"
    "\ufff0-\ufffb\U000e0000-\U000e0fff]"
)


def wrong_with_text(pointer: str, text: str) -> list[Wrong]:
    """Text of one line."""
    return [_holds_control(pointer)] if CONTROL.search(text) else []


def wrong_with_prose(pointer: str, text: str | None) -> list[Wrong]:
    """Text of several lines and columns."""
    return [_holds_control(pointer)] if text and _CONTROL_BUT_LAYOUT.search(text) else []


def wrong_with_ends(pointer: str, text: str) -> list[Wrong]:
    """White space that nobody sees would make two of what looks like one."""
    if text != text.strip():
        return [Wrong(pointer, "首尾不能有空白", "must not begin or end with white space")]
    return []


def wrong_with_unseen(pointer: str, name: str) -> list[Wrong]:
    """Characters by which two names look alike, or one like nothing at all."""
    if _UNSEEN.search(name) or _JOINING.match(name):
        return [Wrong(pointer, "不能包含不可见的字符", "must not contain characters that cannot be seen")]
    return []


def wrong_with_name(pointer: str, name: str) -> list[Wrong]:
    """A name as it is kept, in NFC, which may be three times as long as what was given."""
    if not name:
        return [Wrong(pointer, "至少需要 1 个字符", "must have at least 1 character")]
    if len(unicodedata.normalize("NFC", name)) > LONGEST_NAME:
        return [Wrong(pointer, f"最多允许 {LONGEST_NAME} 个字符", f"must have at most {LONGEST_NAME} characters")]
    return wrong_with_ends(pointer, name) or wrong_with_text(pointer, name) or wrong_with_unseen(pointer, name)


def wrong_with_person(pointer: str, name: str) -> list[Wrong]:
    """A person's name, which must not read as one of the services' own."""
    if _JOINING.sub("", unicodedata.normalize("NFKC", name)).strip().casefold().startswith(_SERVICES):
        zh, en = (
            f"不能以 {_SERVICES} 开头，服务自己才如此称呼",
            f"must not begin with {_SERVICES}, as names of services do",
        )
        return [Wrong(pointer, zh, en)]
    return wrong_with_name(pointer, name)


def _holds_control(pointer: str) -> Wrong:
    return Wrong(pointer, "不能包含控制字符", "must not contain control characters")
