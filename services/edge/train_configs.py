"""Training configurations on their way in, checked before they are stored, and out again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4, uuid5

import msgspec
from litestar import Response

from contracts.command import Command
from contracts.problems import Language, Refused
from events.tokens import Role
from events.train_config import TrainConfigFile
from services.edge.answers import answered, traceparent_of
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.downloads import disposition, matches
from services.edge.multipart_file import AROUND, FormFile
from services.edge.uploading import still_named
from services.runtime.intake import Answer, Caller, check_key, command_id
from services.runtime.storage import Storage, stored_name
from services.runtime.storage.recording import hand_over
from services.runtime.train_config.checking import Checked, check

LEAST: Role = "operator"  # the role that may upload one
MEDIA_TYPE = "application/yaml"
_ENDINGS = (".yaml", ".yml")

_log = logging.getLogger(__name__)


async def may_upload(request: AnyRequest, kind: type[Command], key: str | None) -> Caller:
    """Who uploads. Raises Refused (forbidden, invalid_command_id) before a byte is received."""
    edge, asked = edge_of(request), asked_of(request)
    caller = await edge.caller(asked.identity)
    await edge.intake.require(kind, caller, LEAST, asked.request_id)
    if key is not None:
        check_key(key)
    return caller


class Received(msgspec.Struct, frozen=True):
    """A configuration that may be stored."""

    filename: str
    content: bytes
    checked: Checked


async def receive(request: AnyRequest) -> Received:
    """Raises Refused where it is no single YAML file that can be used; nothing is stored."""
    limit = edge_of(request).uploads.config_limit
    form = FormFile(request)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit + AROUND:
        raise Refused("file_too_large", limit=limit)
    filename = await form.open()
    if not filename.lower().endswith(_ENDINGS):
        raise Refused("train_config_filename", filename=filename)
    content = bytearray()
    async for data in form.chunks():
        content += data
        if len(content) > limit:
            raise Refused("file_too_large", limit=limit)
    if not content:
        raise Refused("file_empty")
    return Received(filename, bytes(content), await asyncio.to_thread(check, bytes(content)))


async def store(
    request: AnyRequest,
    caller: Caller,
    received: Received,
    owner: UUID,
    command_of: Callable[[TrainConfigFile], Command],
    key: str | None,
) -> Response[bytes]:
    """Puts the file into the store and hands the command in; `owner` is whose facts name it. Raises Refused.

    The stored name derives from key, owner and content: repeated it is the same file, and no two owners share one.
    """
    edge, asked = edge_of(request), asked_of(request)
    sha256 = hashlib.sha256(received.content).hexdigest()
    identity = uuid4() if key is None else command_id(caller.person, key)
    name = stored_name(uuid5(identity, f"{owner} {sha256} {received.filename}"), received.filename)
    file = TrainConfigFile(filename=received.filename, stored_name=name, size=len(received.content), sha256=sha256)

    async def hand_in() -> Answer:
        return await edge.intake.handle(
            command_of(file),
            caller,
            key=key,
            least=LEAST,
            correlation_id=asked.request_id,
            traceparent=traceparent_of(request),
        )

    arrived = await edge.uploads.storage.receive(_whole(received.content), len(received.content))
    named = None if key is None else still_named(edge.log, owner)
    answer = await hand_over(arrived, owner, name, hand_in, named)
    response = answered(request, answer)
    response.content = _with_warnings(answer.body, received.checked, asked.language)
    return response


async def content_of(storage: Storage, stored: str, sha256: str) -> bytes:
    """Raises Refused (train_config_unreadable) where the store does not have that very content."""

    def read() -> bytes:
        content = storage.path(stored).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise OSError("it does not have the recorded SHA-256")
        return content

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        _log.error("the training configuration %s cannot be read: %s", stored, error)
        raise Refused("train_config_unreadable", filename=stored) from error


async def download(
    filename: str, sha256: str, position: int, if_none_match: str | None, content: Callable[[], Awaitable[bytes]]
) -> Response[bytes]:
    """The whole file, or that the client has it."""
    etag = f'"{sha256}"'
    headers = {
        "Event-Position": str(position),
        "ETag": etag,
        "Content-Disposition": disposition(filename),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    if if_none_match is not None and matches(if_none_match, etag):
        return Response(b"", status_code=304, headers=headers)
    return Response(await content(), headers=headers, media_type=MEDIA_TYPE)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _with_warnings(body: bytes, checked: Checked, language: Language) -> bytes:
    answer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**answer, "warnings": [found.error(language) for found in checked.warnings]})
