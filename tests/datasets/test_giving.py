"""Stored files asked for on the bus, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from contracts import subjects
from contracts.files import ANSWER, LONGEST_PIECE, FileAnswer, StoredFileQuestion
from services.datasets.giving import answer_stored_file_questions
from tests.datasets.shelf import Shelf, shelf


@pytest.fixture
async def books(nats_url: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    async with shelf(nats_url, tmp_path) as made:
        subscription = await answer_stored_file_questions(made.nc, made.storage)
        yield made
        await subscription.unsubscribe()


async def ask(books: Shelf, stored_name: str, offset: int = 0, length: int = LONGEST_PIECE) -> tuple[FileAnswer, bytes]:
    question = StoredFileQuestion(stored_name=stored_name, offset=offset, length=length)
    reply = await books.nc.request(subjects.STORED_FILES, msgspec.json.encode(question), timeout=60)
    return msgspec.json.decode((reply.headers or {})[ANSWER], type=FileAnswer), reply.data


async def test_a_file_in_pieces(books: Shelf) -> None:
    content = bytes(range(256)) * 8_000
    await books.upload(await books.dataset(), "data.bin", content)
    [name] = books.stored()
    told, whole = None, b""
    while len(whole) < len(content):
        told, piece = await ask(books, name, len(whole), 1 << 30)
        assert (told.status, told.size) == ("ok", len(content))
        assert 0 < len(piece) <= LONGEST_PIECE
        whole += piece
    assert whole == content
    assert await ask(books, name, 3, 5) == (told, content[3:8])
    assert (await ask(books, name, len(content), 5))[1] == b""
    assert (await ask(books, name, -5, -7))[1] == b""
    assert (await ask(books, name, 1 << 63, 5))[0].status == "unreadable"


@pytest.mark.parametrize("name", ["", ".", "..", "../datasets.json", "/etc/passwd", "a/b", "a\0b", ".hidden"])
async def test_nothing_else_is_given(books: Shelf, name: str) -> None:
    assert await ask(books, name) == (FileAnswer(status="unknown"), b"")


async def test_what_is_not_there_or_no_file(books: Shelf, tmp_path: Path) -> None:
    assert (await ask(books, "missing.txt"))[0].status == "missing"
    assert (await ask(books, "x" * 5_000))[0].status == "unreadable"
    (books.storage.files / "link").symlink_to("/etc/passwd")
    assert (await ask(books, "link"))[0].status == "unreadable"


async def test_a_question_that_is_none_gets_no_answer_and_hurts_nobody(books: Shelf) -> None:
    for body in (b"", b"{", b'{"stored_name": 1}'):
        await books.nc.publish(subjects.STORED_FILES, body)
    assert (await ask(books, "missing.txt"))[0].status == "missing"
