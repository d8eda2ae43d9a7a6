"""Every way in which a request is answered with something else than success (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

import msgspec

from contracts.problem_kinds import PROBLEMS

Language = Literal["zh", "en"]

# As RFC 9110 calls them; Python did only from 3.13 on.
_TITLES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with a body: an RFC 6901 pointer into it, and what is wrong there.

    `line` and `column` count from 1, in a file that somebody wrote.
    """

    pointer: str
    detail: str
    line: int | None = None
    column: int | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of an error response, media type `application/problem+json`.

    `aggregate_id` is what there is nonetheless: the run that could not be launched.
    """

    title: str
    status: int
    detail: str
    code: str
    request_id: str
    type: str = "about:blank"
    errors: tuple[FieldError, ...] = ()
    aggregate_id: UUID | None = None


class Wrong(msgspec.Struct, frozen=True):
    """A field error before its language is known."""

    pointer: str
    zh: str
    en: str
    line: int | None = None
    column: int | None = None

    def error(self, language: Language) -> FieldError:
        return FieldError(self.pointer, self.text(language), self.line, self.column)

    def text(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class Refused(Exception):
    """A request that is answered with a problem and changes nothing.

    `code` is a key of PROBLEMS; the keyword arguments fill its sentence and become plain text, never markup. One whose
    name ends in `_en` stands in the English sentence for the one without.
    `position` is that of the last fact, and `aggregate_id` whose it is, where something had been recorded before it
    came to this.
    """

    position: int | None = None
    aggregate_id: UUID | None = None

    def __init__(self, code: str, /, **values: Any) -> None:
        self.kind = PROBLEMS[code]
        self.code = code
        self.values = values
        self.wrongs: tuple[Wrong, ...] = ()
        super().__init__(code, values)

    @property
    def status(self) -> int:
        return self.kind.status

    def text(self, language: Language) -> str:
        if language == "zh":
            return self.kind.zh.format(**self.values)
        english = {name.removesuffix("_en"): value for name, value in self.values.items() if name.endswith("_en")}
        return self.kind.en.format(**self.values | english)

    def problem(self, language: Language, request_id: str) -> Problem:
        return Problem(
            title=_TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.text(language),
            code=self.code,
            request_id=request_id,
            errors=tuple(wrong.error(language) for wrong in self.wrongs),
            aggregate_id=self.aggregate_id,
        )


class InvalidBody(Refused):
    """A body that does not validate, with every field that is wrong."""

    def __init__(self, *wrongs: Wrong) -> None:
        super().__init__("invalid_body")
        self.wrongs = wrongs

    def text(self, language: Language) -> str:
        separator = "；" if language == "zh" else "; "
        reason = separator.join(f"{wrong.pointer} {wrong.text(language)}".strip() for wrong in self.wrongs)
        return (self.kind.zh if language == "zh" else self.kind.en).format(reason=reason)


class InvalidTrainConfig(InvalidBody):
    """A training configuration that cannot be used, with every place that is wrong."""

    def __init__(self, *wrongs: Wrong) -> None:
        Refused.__init__(self, "train_config_invalid")
        self.wrongs = wrongs
