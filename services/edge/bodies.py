"""Request bodies: strict JSON, and every field that is wrong named in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.dto import AbstractDTO
from litestar.typing import FieldDefinition

from contracts.problems import InvalidBody, Refused, Wrong
from services.edge.context import asked_of
from services.runtime.complaints import every_wrong, pointer, wrong_of

T = TypeVar("T", bound=msgspec.Struct)
Body = TypeVar("Body")


class StrictBody(AbstractDTO[T]):
    """Decodes a JSON body into its struct, refusing what a lenient parser would let pass.

    Used as `dto=StrictBody[CreateProject]`. Raises InvalidBody (422) or Refused (415).
    """

    def decode_bytes(self, value: bytes) -> Any:
        content_type = asked_of(self.asgi_connection).headers.get(b"content-type")
        if content_type is not None and content_type != b"application/json":
            _require_json(content_type.decode("latin-1"))
        return decode(value, self.model_type)

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """Nothing to prepare: the struct itself says how it is decoded."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:
        del handler_id
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Any:
        del model_type
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        del field_definition
        return False


def _require_json(content_type: str) -> None:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    charsets = {part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")}
    if not is_json or charsets - {"utf-8", "utf8"}:
        raise Refused("unsupported_media_type", expected="application/json")


def decode(body: bytes, kind: type[Body]) -> Body:
    """The struct that a JSON body holds. Raises InvalidBody naming each field that is wrong."""
    try:
        value = msgspec.json.decode(body, type=kind)
        # Two readers of one body may choose different values of a repeated key, so none is chosen.
        if not _has_each_key_once(body):
            _look_for_repeated_keys(body.decode())
    except _RepeatedKey as repeated:
        raise InvalidBody(Wrong(pointer(repeated.key), "重复出现", "is given more than once")) from None
    except RecursionError:
        raise InvalidBody(Wrong("", "嵌套过深", "is nested too deeply")) from None
    except msgspec.ValidationError as error:
        raise InvalidBody(*_every_wrong(body, kind, str(error))) from None
    except ValueError as error:
        raise InvalidBody(_not_json(error)) from None
    return value


async def refuse_unread(request: Request[Any, Any, Any], read: Container[str]) -> None:
    """An option in a body that nobody reads must not be ignored silently; `{}` holds none.

    `read` are the operations that read a body by themselves. Raises InvalidBody.
    """
    handler = request.route_handler
    if handler.parsed_data_field is not None or request.method == "GET" or handler.operation_id in read:
        return
    length = request.headers.get("content-length")
    if length in (None, "0") and "transfer-encoding" not in request.headers:
        return
    if length in (None, "2") and (await request.body()).strip() in (b"", b"{}"):
        return
    raise InvalidBody(Wrong("", "此操作没有请求体", "this operation takes no body"))


class _RepeatedKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _has_each_key_once(body: bytes) -> bool:
    """Sure where it is true: each key of an object takes a colon, and the outermost has as many keys as there are."""
    outermost = msgspec.json.decode(body)
    return isinstance(outermost, dict) and len(outermost) == body.count(b":")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) == len(pairs):
        return
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _RepeatedKey(key)
        seen.add(key)


_AT_BYTE = re.compile(r"(.*) \(byte (\d+)\)")
_look_for_repeated_keys = json.JSONDecoder(object_pairs_hook=_refuse_repeated, parse_int=str).decode


def _not_json(error: ValueError) -> Wrong:
    if isinstance(error, UnicodeDecodeError):
        return Wrong("", "不是有效的 UTF-8 文本", "is not valid UTF-8")
    why = str(error).removeprefix("JSON is malformed: ")
    if (found := _AT_BYTE.fullmatch(why)) is None:  # all else that the library complains of is an end too early
        return Wrong("", "不是有效的 JSON（内容不完整）", f"is not valid JSON ({why[:1].lower()}{why[1:]})")
    why, byte = found.groups()
    return Wrong("", f"不是有效的 JSON（字节偏移 {byte} 处）", f"is not valid JSON ({why}, at byte {byte})")


def _every_wrong(body: bytes, kind: type[Any], first: str) -> list[Wrong]:
    try:
        given = msgspec.json.decode(body)
    except (RecursionError, ValueError):
        return [wrong_of(first)]
    return every_wrong(given, kind, first)
