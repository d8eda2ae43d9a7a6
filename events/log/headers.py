"""Headers of a message as they arrive, read only as far as somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from nats.aio.client import Client

HEADER_LINE = b"NATS/1.0\r\n"  # what a block of headers begins with, unless there is a status in it

_decode_all = msgspec.json.Decoder(dict[str, str]).decode


class HeaderBlock(Mapping[str, str]):
    """`raw` is what follows HEADER_LINE: lines that end with CR LF, and an empty one.

    To make a text of each name and value, used or not, is the most expensive part of reading a log.
    """

    __slots__ = ("_parsed", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._parsed: dict[str, str] | None = None

    def _as_json(self) -> bytes | None:
        """An object of texts; None, or no JSON, where the headers are not as facts have them."""
        raw = self.raw
        lines = raw.count(b"\r\n") - 1
        # One blank in each line, after the colon, so none in a name or value. Other control characters are no JSON.
        if not (raw.count(b" ") == raw.count(b": ") == lines) or b'"' in raw or b"\\" in raw or not raw.isascii():
            return None
        return b'{"' + raw[:-4].replace(b"\r\n", b'","').replace(b": ", b'":"') + b'"}'

    def _all(self) -> dict[str, str]:
        if self._parsed is None:
            try:
                json = self._as_json()
                self._parsed = Client._parse_header_lines(self.raw) if json is None else _decode_all(json)
            except msgspec.DecodeError:
                self._parsed = Client._parse_header_lines(self.raw)
        return self._parsed

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
