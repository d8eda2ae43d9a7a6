"""Every error as a problem: `application/problem+json`, in the caller's language, without internals."""

from __future__ import annotations

import logging
from functools import lru_cache

import msgspec
import nats.errors
from litestar.enums import ParamType
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from contracts.problems import InvalidBody, Language, Refused, Wrong
from events.log import LogUnavailable
from services.edge.methods import allow
from services.edge.parameters import InvalidParameter
from services.runtime.complaints import wrong_of

MEDIA_TYPE = "application/problem+json"
TUS_VERSION = "1.0.0"

_RETRY_AFTER = "1"

_log = logging.getLogger(__name__)


class Answered(msgspec.Struct, frozen=True):
    """An error as it goes out."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(error: Exception, *, language: Language, request_id: str, body_limit: int) -> Answered:
    """What the client is told of an error. One that nobody foresaw is logged, and told as `internal_error` only."""
    refused = _refused(error, body_limit)
    if refused.code == "internal_error":
        _log.error("request %s failed", request_id, exc_info=error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    headers["content-language"] = language
    if "allow" in headers:
        headers["allow"] = allow(headers["allow"].split(", "))
    if refused.code == "unauthenticated":
        headers["www-authenticate"] = "Bearer"
    if refused.code == "range_not_satisfiable":
        headers["content-range"] = f"bytes */{refused.values['size']}"
    if refused.code == "tus_version":
        headers["tus-version"] = TUS_VERSION
    if refused.position is not None:
        headers["event-position"] = str(refused.position)
    if refused.status == 503:
        headers["retry-after"] = _RETRY_AFTER
    return Answered(refused.status, headers, msgspec.json.encode(refused.problem(language, request_id)))


def _refused(error: Exception, body_limit: int) -> Refused:
    match error:
        case Refused():
            return error
        case LogUnavailable() | nats.errors.Error():
            return Refused("log_unavailable")
        case NotFoundException():
            return Refused("not_found")
        case MethodNotAllowedException():
            return Refused("method_not_allowed")
        case RequestEntityTooLarge():
            return Refused("body_too_large", limit=body_limit)
        case ValidationException():
            return _invalid(error)
        case ClientException():
            return InvalidBody(Wrong("", "无法解析", "cannot be read"))
        case InternalServerException() if error.detail == "client disconnected prematurely":
            return InvalidBody(Wrong("", "请求体不完整", "the body is not complete"))
        case _:
            return Refused("internal_error")


def _invalid(error: ValidationException) -> Refused:
    """Bodies are decoded by `bodies`: the framework itself finds only that one is missing, and parameters wrong.

    It names a parameter as the argument it becomes (`all_` of `all`), and says that it may be null, which no parameter
    can spell.
    """
    for complaint in error.extra if isinstance(error.extra, list) else []:
        if isinstance(complaint.get("source"), ParamType):
            wrong = wrong_of(complaint["message"].replace(" | null", ""))
            name = complaint["key"].removesuffix("_")
            if complaint["source"] is ParamType.HEADER:
                name = name.replace("_", "-").title()
            return InvalidParameter(name, wrong.zh, wrong.en)
    return InvalidBody(Wrong("", "缺少请求体", "a body is required"))


@lru_cache(maxsize=256)
def language_of(accept_language: str) -> Language:
    """The language that an `Accept-Language` header prefers of the two there are; Chinese where it says nothing."""
    best: tuple[float, Language] = (0.0, "zh")
    for part in accept_language.split(","):
        tag, _, parameters = part.strip().lower().partition(";")
        language: Language
        match tag.strip().partition("-")[0]:
            case "zh" | "*":
                language = "zh"
            case "en":
                language = "en"
            case _:
                continue
        quality = _quality(parameters)
        if quality > best[0]:
            best = (quality, language)
    return best[1]


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
