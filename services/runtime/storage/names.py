"""Names of files: as their uploaders wrote them, and as they are stored."""

from __future__ import annotations

import re
import unicodedata
from uuid import UUID

from contracts.problems import Language, Refused

LONGEST = 255  # characters of a name as it is shown
_MOST_BYTES = 120  # of a name as it is stored, so that all that stands before it fits into a file name too
# Unicode's Cc (control), Cs (lone surrogates), Zl and Zp (line and paragraph separator), and what turns the direction
# of text, by which `exe.txt` can be shown as another name.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028-\\u202e\\u2066-\\u2069]")
_UNSAFE = re.compile(r"[^\w.\-]+")


class InvalidFileName(Refused):
    """A file name that is not taken."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__("file_name_invalid", reason=zh)
        self._english = en

    def text(self, language: Language) -> str:
        reason = self.values["reason"] if language == "zh" else self._english
        return (self.kind.zh if language == "zh" else self.kind.en).format(reason=reason)


def check_file_name(name: str) -> str:
    """The name in Unicode's composed form (NFC). Raises Refused (file_name_invalid)."""
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise InvalidFileName("不能为空", "it must not be empty")
    if len(name) > LONGEST:
        raise InvalidFileName(f"超过 {LONGEST} 个字符", f"it has more than {LONGEST} characters")
    if _CONTROL.search(name):
        raise InvalidFileName("不能包含控制字符", "it must not contain control characters")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise InvalidFileName("不能包含路径", "it must not contain a path")
    return name


def stored_name(upload_id: UUID, name: str) -> str:
    """`<upload id>_<name>`, the name reduced to letters, digits and `. _ -` and to 120 bytes; its ending is kept."""
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    stem, dot, ending = safe.rpartition(".")
    if not dot or len(ending.encode()) > _MOST_BYTES // 4:
        stem, dot, ending = safe, "", ""
    kept = stem.encode()[: _MOST_BYTES - len((dot + ending).encode())].decode(errors="ignore")
    return f"{upload_id}_{kept}{dot}{ending}"
