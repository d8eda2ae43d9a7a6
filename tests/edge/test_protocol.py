"""How the server writes an answer: its head and its body in one piece, and nothing later than it must."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from services.edge.protocol import InOnePiece


class Recording:
    """A transport that keeps what is written to it, a list for each call."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.closed_after: int | None = None

    def write(self, data: bytes) -> None:
        self.calls.append([data])

    def writelines(self, data: Iterable[bytes]) -> None:
        self.calls.append(list(data))

    def close(self) -> None:
        self.closed_after = len(self.calls)

    def is_closing(self) -> bool:
        return self.closed_after is not None


def made() -> tuple[InOnePiece, Recording]:
    recording = Recording()
    return InOnePiece(cast("asyncio.Transport", recording)), recording


async def test_a_head_and_its_body_go_together_at_once() -> None:
    transport, recording = made()
    transport.write(b"head")
    assert not recording.calls
    transport.write(b"body")
    assert recording.calls == [[b"head", b"body"]]
    await asyncio.sleep(0)
    assert recording.calls == [[b"head", b"body"]]


async def test_a_head_without_a_body_goes_at_the_end_of_the_turn() -> None:
    transport, recording = made()
    transport.write(b"head")
    await asyncio.sleep(0)
    assert recording.calls == [[b"head"]]


async def test_nothing_is_lost_or_out_of_order_and_an_empty_piece_is_none() -> None:
    transport, recording = made()
    pieces = [b"%d" % number for number in range(7)]
    for piece in (*pieces[:3], b"", *pieces[3:]):
        transport.write(piece)
    await asyncio.sleep(0)
    assert b"".join(b"".join(call) for call in recording.calls) == b"".join(pieces)


async def test_what_is_held_goes_before_the_end() -> None:
    transport, recording = made()
    transport.write(b"head")
    transport.close()
    assert (recording.calls, recording.closed_after, transport.is_closing()) == ([[b"head"]], 1, True)
