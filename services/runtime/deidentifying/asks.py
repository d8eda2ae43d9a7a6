"""What the process that holds the engine of de-identification is asked, and what it answers: frames over its pipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Literal

import msgspec

from services.runtime.deid.policies import Policy

LENGTH = 4  # bytes, big-endian, before each frame
LAST, MORE = b"\1", b"\0"  # before that, of an answer


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What crosses a pipe; `repr` would show texts and secrets, and they are meant for nobody's log."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class PolicyToUse(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is that of this installation."""

    policy: Policy
    secret: bytes
    seed: int | None

    def __repr__(self) -> str:
        return "PolicyToUse(…)"


class DeidentifyTexts(_Frame, frozen=True, kw_only=True):
    """`mapping`: whether the pairs are wanted; else they are not made."""

    policy: PolicyToUse
    texts: tuple[str, ...]
    locale: str
    format: str
    mapping: bool


class ReverseTexts(_Frame, frozen=True, kw_only=True):
    policy: PolicyToUse
    texts: tuple[str, ...]
    locale: str
    format: str


class DeidentifyFile(_Frame, frozen=True, kw_only=True):
    """Paths of this machine. `fields` none: all of them."""

    policy: PolicyToUse
    source: str
    target: str
    fields: tuple[str, ...] | None
    format: str
    processes: int


Ask = DeidentifyTexts | ReverseTexts | DeidentifyFile


class TextsDone(_Frame, frozen=True, kw_only=True):
    """`mapping`: type, original, pseudonym of each; empty where it was not wanted."""

    texts: tuple[str, ...]
    counts: dict[str, int]
    mapping: tuple[tuple[str, str, str], ...] = ()


class TextUnreadable(_Frame, frozen=True, kw_only=True):
    """A text is not what the format says; neither sentence holds anything of it."""

    pointer: str
    zh: str
    en: str


class NotReversible(_Frame, frozen=True, kw_only=True):
    pass


class FileProgress(_Frame, frozen=True, kw_only=True):
    """Bytes of the source that are done."""

    bytes: int


class FileDone(_Frame, frozen=True, kw_only=True):
    records: int
    quarantined: int
    quarantined_lines: tuple[int, ...]
    counts: dict[str, int]
    input_sha256: str
    output_sha256: str


class FileFailed(_Frame, frozen=True, kw_only=True):
    """`line` from 1, none where the whole file is meant. Neither sentence holds anything of the file."""

    cause: Literal["input", "storage"]
    zh: str
    en: str
    line: int | None


class Broken(_Frame, frozen=True, kw_only=True):
    """The engine failed. `what` is the kind of error and the places in the code it went through, without any value."""

    what: str


Answer = TextsDone | TextUnreadable | NotReversible | FileProgress | FileDone | FileFailed | Broken

encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
decode_ask: Callable[[bytes], Ask] = msgspec.msgpack.Decoder(Ask).decode
decode_use: Callable[[bytes], PolicyToUse] = msgspec.msgpack.Decoder(PolicyToUse).decode
decode_answer: Callable[[bytes], Answer] = msgspec.msgpack.Decoder(Answer).decode


def framed(message: object) -> bytes:
    body = encode(message)
    return len(body).to_bytes(LENGTH, "big") + body


def read_frame(pipe: BinaryIO) -> bytes | None:
    """None at the end. Blocks."""
    head = pipe.read(LENGTH)
    if len(head) < LENGTH:
        return None
    size = int.from_bytes(head, "big")
    body = pipe.read(size)
    return body if len(body) == size else None
