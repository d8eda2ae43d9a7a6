"""The protocol tus 1.0 (https://tus.io/protocols/resumable-upload): what is said in its headers."""

from __future__ import annotations

import base64
import binascii
from email.utils import format_datetime
from typing import Annotated

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter

from contracts.problems import Refused
from services.edge.context import AnyRequest
from services.edge.parameters import InvalidParameter
from services.edge.problems import TUS_VERSION
from services.runtime.storage import check_file_name
from services.runtime.storage.resumable import Unfinished

_OFFSET_STREAM = "application/offset+octet-stream"
_EXTENSIONS = "creation,creation-with-upload,expiration,termination"
_LONGEST_METADATA = 16 * 1024

VERSION = ResponseHeader(name="Tus-Resumable", documentation_only=True, required=True, description="Version of tus")
OFFSET = ResponseHeader(name="Upload-Offset", documentation_only=True, description="Bytes that have arrived")
EXPIRES = ResponseHeader(
    name="Upload-Expires", documentation_only=True, description="When the upload is removed unless more of it arrives"
)
LOCATION = ResponseHeader(
    name="Location", documentation_only=True, required=True, description="Where to send its bytes"
)

Resumable = Annotated[
    str | None, HeaderParameter(name="Tus-Resumable", description="Version of tus that the client speaks: `1.0.0`")
]
Length = Annotated[
    int | None, HeaderParameter(name="Upload-Length", description="Size of the whole file in bytes", ge=0, le=2**62)
]
Metadata = Annotated[
    str | None,
    HeaderParameter(
        name="Upload-Metadata",
        description="`filename` and the file's name in Base64, further pairs after commas; others are not kept",
    ),
]
At = Annotated[
    int | None, HeaderParameter(name="Upload-Offset", description="Bytes that came before these", ge=0, le=2**62)
]
Override = Annotated[str | None, HeaderParameter(name="X-HTTP-Method-Override", description="The method that is meant")]


def require_version(version: str | None) -> None:
    """Raises Refused (tus_version)."""
    if version != TUS_VERSION:
        raise Refused("tus_version")


def require_offset_stream(request: AnyRequest) -> None:
    """Raises Refused (unsupported_media_type)."""
    if request.headers.get("content-type") != _OFFSET_STREAM:
        raise Refused("unsupported_media_type", expected=_OFFSET_STREAM)


def has_bytes(request: AnyRequest) -> bool:
    """Whether a body comes with the request. Some clients name a content type where there is none."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def length_of(length: int | None, limit: int) -> int:
    """Raises Refused."""
    if length is None:
        raise InvalidParameter("Upload-Length", "缺少", "it is missing")
    if length == 0:
        raise Refused("file_empty")
    if length > limit:
        raise Refused("file_too_large", limit=limit)
    return length


def offset_of(offset: int | None) -> int:
    """Raises Refused."""
    if offset is None:
        raise InvalidParameter("Upload-Offset", "缺少", "it is missing")
    return offset


def filename_of(metadata: str | None) -> str:
    """Raises Refused."""
    if metadata is None or len(metadata) > _LONGEST_METADATA:
        raise InvalidParameter("Upload-Metadata", "缺少或过长", "it is missing, or too long")
    pairs = (pair.strip().partition(" ") for pair in metadata.split(","))
    values = {key: value.strip() for key, _, value in pairs}
    try:
        name = base64.b64decode(values["filename"], validate=True).decode()
    except KeyError:
        raise InvalidParameter("Upload-Metadata", "缺少 filename", "it has no filename") from None
    except (binascii.Error, ValueError):
        raise InvalidParameter(
            "Upload-Metadata", "filename 须为 UTF-8 文本的 Base64", "the filename must be Base64 of UTF-8 text"
        ) from None
    return check_file_name(name)


def of_unfinished(unfinished: Unfinished) -> dict[str, str]:
    """Headers; once all has arrived nothing is left to tell but that."""
    headers = {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(unfinished.offset)}
    if unfinished.complete:
        return headers
    return headers | {
        "Upload-Length": str(unfinished.described.length),
        "Upload-Metadata": _metadata_of(unfinished.described.name),
        "Upload-Expires": format_datetime(unfinished.expires_at, usegmt=True),
    }


def of_finished(name: str, size: int) -> dict[str, str]:
    """Headers."""
    headers = {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(size), "Upload-Length": str(size)}
    return headers | {"Upload-Metadata": _metadata_of(name)}


def options(largest: int) -> Response[None]:
    """What is spoken here."""
    headers = {
        "Tus-Resumable": TUS_VERSION,
        "Tus-Version": TUS_VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(largest),
    }
    return Response(None, status_code=204, headers=headers)


def _metadata_of(name: str) -> str:
    return f"filename {base64.b64encode(name.encode()).decode()}"
