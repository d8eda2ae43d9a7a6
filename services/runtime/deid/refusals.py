"""What de-identification refuses: policies, texts, files; never with a word of their content."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.problems import Wrong


class PolicyRefused(Exception):
    """A policy that is not valid, with every place that is wrong in both languages."""

    def __init__(self, *wrongs: Wrong) -> None:
        super().__init__("; ".join(f"{wrong.pointer} {wrong.en}".strip() for wrong in wrongs))
        self.wrongs = wrongs


class TextRefused(Exception):
    """A text that cannot be de-identified: `pointer` says which one, counted from 0."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(f"{wrong.pointer} {wrong.en}")
        self.wrong = wrong


class NotReversible(Exception):
    """A policy whose pseudonyms no key brings back."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


class FileRefused(Exception):
    """A file that cannot be de-identified, with the line (from 1) where one is to blame; nothing was written."""

    def __init__(self, zh: str, en: str, line: int | None = None) -> None:
        super().__init__(en if line is None else f"line {line}: {en}")
        self.zh, self.en, self.line = zh, en, line

    def __reduce__(self) -> tuple[type[FileRefused], tuple[str, str, int | None]]:
        return FileRefused, (self.zh, self.en, self.line)


def no_such(fields: Sequence[str]) -> FileRefused:
    """Fields that were asked for and are nowhere."""
    names = ", ".join(fields)
    return FileRefused(f"文件中没有字段：{names}", f"the file has no such field: {names}")


class Canceled(Exception):
    """The work was asked to stop; nothing was written."""
