"""What requests say outside their bodies: headers and query parameters, declared for the document and read strictly."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from contracts.problems import Language, Refused
from events.log import EventLog
from projections.queries.cut import NOW, Cut
from services.runtime.reads import Reads

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_POSITION = 2**63 - 1
_POSITION = re.compile(r"\d{1,18}", re.ASCII)
_DECODED_PLUS = re.compile(r"(.*\d) (\d\d(?::?\d\d)?)", re.ASCII)

ProjectReference = Annotated[
    str,
    PathParameter(
        title="Project reference",
        description="Id or name of the project, URL-encoded",
        min_length=1,
    ),
]
RunId = Annotated[str, PathParameter(description="Id of the run (UUID)", min_length=1)]
AsOf = Annotated[
    str | None,
    QueryParameter(
        name="as_of",
        description="Shows the state of the past: a position of the log, or an ISO 8601 time (UTC without a zone), "
        "compared with when facts were stored",
    ),
]
MinEventPosition = Annotated[
    int | None,
    HeaderParameter(
        name="Min-Event-Position",
        description="Answers only once the read models show the fact at this position, or 503 after a bounded wait",
        ge=0,
        le=_LAST_POSITION,
    ),
]
Limit = Annotated[
    int | None, QueryParameter(name="limit", description="Most items of a page; left out: all", ge=1, le=1000)
]
Cursor = Annotated[
    str | None, QueryParameter(name="cursor", description="Where a page begins, as a `Link` header gave it")
]
Range = Annotated[
    str | None, HeaderParameter(name="Range", description="One range of bytes; several are answered with the whole")
]
IfRange = Annotated[
    str | None, HeaderParameter(name="If-Range", description="The range only if the `ETag` is this, else the whole")
]
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="Nothing (304) if the `ETag` is among these")
]
DatasetId = Annotated[str, PathParameter(description="Id of the dataset (UUID)", min_length=1)]
UploadId = Annotated[str, PathParameter(description="Id of the upload (UUID)", min_length=1)]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="The caller's own id of this command, 1 to 200 visible ASCII characters: "
        "repeated with it, the command is executed once and answered alike",
        schema_extra={"minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]{1,200}$"},
    ),
]
Prefer = Annotated[
    str | None,
    HeaderParameter(name="Prefer", description="`respond-async`: answers 202 at once instead of waiting for the run"),
]


class InvalidParameter(Refused):
    """A parameter that cannot be read."""

    def __init__(self, name: str, zh: str, en: str) -> None:
        super().__init__("invalid_parameter", name=name, reason=en)
        self._reasons: dict[Language, str] = {"zh": zh, "en": en}

    def text(self, language: Language) -> str:
        sentence = self.kind.zh if language == "zh" else self.kind.en
        return sentence.format(name=self.values["name"], reason=self._reasons[language])


async def refuse_unknown_query(request: Request[Any, Any, Any]) -> None:
    """A misspelt parameter must not be ignored silently, no more than a misspelt field, nor one that is given twice."""
    if not request.scope["query_string"]:
        return
    known = _query_names(request.route_handler)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise InvalidParameter(name, "未知参数", "it is not known")
        if name in seen:
            raise InvalidParameter(name, "重复出现", "it is given more than once")
        seen.add(name)


@lru_cache(maxsize=128)
def _query_names(handler: BaseRouteHandler) -> frozenset[str]:
    definitions = (field.kwarg_definition for field in handler.parsed_fn_signature.parameters.values())
    return frozenset(
        definition.name
        for definition in definitions
        if isinstance(definition, QueryParameter) and definition.name is not None
    )


def cursor_of(kind: str, after: int | None) -> str | None:
    """Where the next page of a list of that kind begins, opaquely; none where there is none."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(f"{kind}:{after}".encode()).decode().rstrip("=")


def after_cursor(kind: str, cursor: str | None) -> int:
    """The position after which a page begins. Raises Refused (invalid_parameter)."""
    if cursor is None:
        return 0
    try:
        given, _, after = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).partition(b":")
        if given == kind.encode() and 0 < int(after) < 2**63:
            return int(after)
    except (binascii.Error, ValueError):
        pass
    raise InvalidParameter("cursor", "不是本服务给出的游标", "it is not one that a Link header gave")


def wants_async(prefer: str | None) -> bool:
    """RFC 7240."""
    if prefer is None:
        return False
    return any(part.partition(";")[0].strip().lower() == "respond-async" for part in prefer.split(","))


class Past:
    """Finds which state a request asks for, waiting at most `patience` seconds for the read models to be there."""

    def __init__(self, log: EventLog, reads: Reads, patience: float) -> None:
        self._log = log
        self._reads = reads
        self._patience = patience

    async def cut(self, as_of: str | None, min_event_position: int | None) -> Cut:
        """Raises Refused and LogUnavailable."""
        if min_event_position is not None:
            await self._reach("Min-Event-Position", min_event_position)
        if as_of is None:
            return NOW
        text = as_of.strip()
        if _POSITION.fullmatch(text):
            return await self._at_position(int(text))
        return await self._at_moment(_moment(text))

    async def _at_position(self, position: int) -> Cut:
        await self._reach("as_of", position)
        return Cut(position, await self._log.stored_at(position) or _EPOCH)

    async def _at_moment(self, moment: datetime) -> Cut:
        if moment > datetime.now(UTC):
            raise InvalidParameter("as_of", "该时间尚未到来", "that time has not come yet")
        position = await self._log.position_at(moment) if moment >= _EPOCH else 0
        await self._reach("as_of", position)
        return Cut(position, max(moment, _EPOCH))

    async def _reach(self, name: str, position: int) -> None:
        if self._reads.position < position and await self._log.last_position() < position:
            raise InvalidParameter(name, f"位置 {position} 尚不存在", f"there is no position {position} yet")
        if not await self._reads.passed(position, self._patience):
            raise Refused("position_not_reached", position=position)


def _moment(text: str) -> datetime:
    if (moment := moment_of(text)) is not None:
        return moment
    raise InvalidParameter(
        "as_of", "须为日志位置或 ISO 8601 时间", "it must be a position of the log or an ISO 8601 time"
    )


def moment_of(text: str) -> datetime | None:
    """An ISO 8601 time, UTC where it names no zone; none where the text is something else."""
    # A `+` that was not encoded arrives as a space.
    for spelling in (text, _DECODED_PLUS.sub(r"\1+\2", text)):
        try:
            moment = datetime.fromisoformat(spelling.upper())  # RFC 3339 allows `t` and `z` too
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
