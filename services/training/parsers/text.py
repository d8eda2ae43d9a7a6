"""A line of output as text that any store and terminal can take, and the level it speaks with."""

from __future__ import annotations

import re

from contracts.runs import LogLevel

# CSI, terminated OSC, charset and two-character sequences (ECMA-48). What is left of a broken one stays, made visible.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])")

# Control characters become their pictures (NUL is ␀): PostgreSQL stores no NUL, and a terminal must not obey a log.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if code != 0x09}
_PICTURES |= {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)

_RANKS = re.compile(r"(?:(?:\[(?:default|rank|trainer|worker)\d+\]:|\[\d+,\d+\]<std(?:out|err)>:) ?)+")

_ERROR_FRONT = re.compile(
    r"""
    \s*Traceback\ \(most\ recent\ call\ last\)
  | \s*(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|KeyboardInterrupt)(?=:|\(|\s*$)
  | (?:\S+:\ )?(?:fatal\ )?[Ee]rror:\s               # gcc, argparse
  | fatal:\s                                         # git
  | \S+:\ line\ \d+:\s                               # bash, of a line of a script
  | (?:/\S*/)?(?:ba|da)?sh:\s
  | Killed\s*$
  | \[?[EF](?:\d{4}\ \d\d:\d\d:|\s\S+\.(?:cc|cpp):)  # glog, PyTorch
  | \d{4}-\d\d-\d\d\ [\d:.]+:\ [EF]\s                # TensorFlow
    """,
    re.VERBOSE,
)
_WARNING_FRONT = re.compile(
    r"""
    (?:\S+:\d+:\ )?\w*Warning:\s                     # Python's warnings
  | (?:\S+:\ )?warn(?:ing)?:\s
  | \[?W(?:\d{4}\ \d\d:\d\d:|\s\S+\.(?:cc|cpp):)
  | \d{4}-\d\d-\d\d\ [\d:.]+:\ W\s
    """,
    re.VERBOSE,
)
_LEVEL_WITHIN = 300  # characters: a level stands at the front of a line
_WORDS: dict[str, LogLevel] = {
    "CRITICAL": "ERROR", "ERROR": "ERROR", "FATAL": "ERROR", "WARNING": "WARNING", "WARN": "WARNING", "INFO": "INFO",
    "DEBUG": "DEBUG",
}  # fmt: skip
# Each alternative starts with a letter of its own, as `re` then skips to those; what may not stand before it is behind.
_WORD = re.compile("|".join(rf"{word}(?<![\w=/-]{word})(?![\w=])" for word in _WORDS))
_ERROR_PHRASES = ("CUDA error:", "can't open file", "(core dumped)", ": error: ")

# A line with none of these has level INFO: substrings are found far sooner than the patterns above fail.
LEVEL_MARKS = (
    b"ERROR", b"rror", b"CRITICAL", b"FATAL", b"fatal:", b"raceback", b"xception", b"KeyboardInterrupt", b": line ",
    b"sh: ", b"can't open", b"core dumped", b"Killed", b".cc:", b".cpp:", b".py:", b"WARN", b"arning:", b"warn:",
    b"DEBUG",
)  # fmt: skip


def cleaned(raw: bytes) -> str:
    """UTF-8 with invalid bytes replaced, escape sequences gone, control characters visible, no blanks at the end."""
    text = raw.decode("utf-8", "replace")
    if not text.isprintable():
        text = _ESCAPES.sub("", text).translate(_PICTURES)
    return text.rstrip(" \t")


def unranked(text: str) -> str:
    """Cleaned text without the rank prefixes of a launcher (`[default0]:`, `[rank0]: `, `[1,0]<stdout>:`)."""
    prefix = _RANKS.match(text) if text.startswith("[") else None
    return text[prefix.end() :] if prefix else text


def level_of(text: str) -> LogLevel:
    """The level that a line without rank prefixes says of itself, else INFO.

    The leftmost word that names a level decides: `[INFO|trainer.py:9] >> tried again after ERROR` is INFO.
    """
    if _ERROR_FRONT.match(text, 0, _LEVEL_WITHIN):
        return "ERROR"
    if _WARNING_FRONT.match(text, 0, _LEVEL_WITHIN):
        return "WARNING"
    word = _WORD.search(text, 0, _LEVEL_WITHIN)
    if word:
        return _WORDS[word[0]]
    front = text[:_LEVEL_WITHIN]
    if any(phrase in front for phrase in _ERROR_PHRASES):
        return "ERROR"
    return "WARNING" if "Warning: " in front else "INFO"


def whole_characters(cut: bytes) -> bytes:
    """Without the character that a cut may have split."""
    end = len(cut)
    for _ in range(3):
        if end and cut[end - 1] & 0xC0 == 0x80:
            end -= 1
    return cut[: end - 1] if end and cut[end - 1] >= 0xC0 else cut[:end]
