"""A file through a pool of processes, in order, into a temporary file that takes its name when it is complete."""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from contracts.deid import FileFormat
from services.runtime.deid.files import formats, memory, processes, tables
from services.runtime.deid.files.formats import BYTE_ORDER_MARK, by_content, chunks, format_of
from services.runtime.deid.files.processes import Handed
from services.runtime.deid.files.tally import Cancellation, Progress, Report, Tally
from services.runtime.deid.files.work import Done, Job, Work
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.refusals import FileRefused, no_such
from services.runtime.durable_files import Flushing, sync_directory

CHUNK_BYTES = 4 * 1024 * 1024
_FEW_CHUNKS = 2
"""A file of no more is done by one process."""
_LAST_SHARES, _LEAST_PART = 1, 4
"""Where less than so many chunks are left for each process, chunks are that part of what is left, but not smaller."""
_BESIDES = 1 / 5
"""What this process does for each byte besides, which is to hash and to write it, as a part of the work on it."""
_MOST_WAITING = 4
"""Chunks for each process that may wait to be written."""


def deidentify_file(
    source: Path,
    target: Path,
    policy: Policy,
    keys: Keys,
    *,
    fields: Sequence[str] | None = None,
    format: FileFormat | None = None,  # noqa: A002
    locale: str = "zh-CN",
    seed: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    canceled: Cancellation | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Report:
    """Writes the de-identified `source` as `target`, whole or not at all; blocks, so call it in a thread.

    `fields`: what to change, else every string: of JSON and JSONL dotted names of keys, of tables names of columns.
    `format`: by the name of `source` where left out; what is called JSON may be JSON Lines. `workers`: processes, this
    one included; the others start with the first file that is worth it and stay for the next. `progress` is told bytes
    done and in all. Neither `workers` nor `chunk_bytes` changes the output. Raises FileRefused, Canceled, OSError.
    """
    kind, delimiter = by_content(source, format or format_of(source.name))
    derived = keys.derive(policy.key, policy.id, policy.version, seed)
    chosen = None if fields is None else tuple(fields)
    job = Job(policy=policy, keys=derived, locale=locale, kind=kind, fields=chosen, delimiter=delimiter)
    if kind == "parquet":
        from services.runtime.deid.files.parquet import deidentify_parquet

        write: Callable[[BinaryIO, Tally], None] = lambda out, tally: deidentify_parquet(source, out, job, tally)  # noqa: E731
    else:
        write = lambda out, tally: _write(source, target, out, job, tally, workers, chunk_bytes)  # noqa: E731
    tally = Tally(source.stat().st_size, policy, progress, canceled)
    memory.keep()
    temporary = target.with_name(f".{target.name}.part")
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        left.unlink(missing_ok=True)  # by an attempt that was killed
    try:
        with temporary.open("wb") as out:
            write(out, tally)
            _require_fields(job, tally)
            out.flush()
            os.fsync(out.fileno())
        report = tally.report(kind)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)
    return report


def _write(source: Path, target: Path, out: BinaryIO, job: Job, tally: Tally, workers: int, chunk_bytes: int) -> None:
    with source.open("rb") as file:
        if file.read(3) == BYTE_ORDER_MARK:
            tally.take(BYTE_ORDER_MARK)
            tally.give(out, BYTE_ORDER_MARK)
        else:
            file.seek(0)
        if job.kind in ("csv", "tsv"):
            job = _with_header(file, out, job, tally)
        in_pieces = job.kind != "json" or formats.is_array(file)
        workers = workers if in_pieces and tally.size > _FEW_CHUNKS * chunk_bytes else 1
        crew = _Crew(source, target, job, workers)
        waiting: deque[tuple[Done | Handed, int]] = deque()

        def size_at(place: int) -> int:
            """Smaller chunks in the end, so that all who work at them are done at about the same time."""
            share = (tally.size - place) // (_LAST_SHARES * workers)
            return chunk_bytes if workers == 1 else min(chunk_bytes, max(share, chunk_bytes // _LEAST_PART, 1))

        def add() -> None:
            done, taken = waiting.popleft()
            done = done.result() if isinstance(done, Handed) else done
            tally.add(done, out, taken)
            flushing.wrote(len(done.content))

        try:
            with Flushing(out) as flushing:
                for chunk in chunks(file, job.kind, size_at, job.delimiter):
                    start = tally.bytes_read
                    unwritten = tally.size - tally.bytes_written
                    waiting.append((crew.do(chunk, start, tally.size - start, unwritten), start + len(chunk)))
                    tally.take(chunk)
                    while waiting and (len(waiting) > _MOST_WAITING * workers or not _at_work(waiting[0][0])):
                        add()
                while waiting:
                    tally.take(b"")
                    add()
        finally:
            for done, _ in waiting:
                if isinstance(done, Handed):
                    done.drop()


class _Crew:
    """This process and, beside it, one less than `workers`, which take as many chunks ahead as keep them at work.

    In the end that is no more than their part of what is left: this process is to be done when they are. How far they
    have come is judged by how long this process took for its own last chunk.
    """

    def __init__(self, source: Path, target: Path, job: Job, workers: int) -> None:
        self._source, self._work = source, Work(job)
        self._helpers = processes.helpers(workers - 1) if workers > 1 else None
        self._workers = workers
        self._told = processes.told(job)
        # A process that outlives this one by an instant writes nothing that the next attempt takes for its own.
        self._pieces = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        self._handed: list[tuple[Handed, int]] = []
        self._handed_bytes, self._handed_since, self._pace = 0, 0.0, 0.0  # seconds, and bytes a second
        self._before = b""

    def do(self, chunk: bytes, start: int, left: int, unwritten: int) -> Done | Handed:
        """`left`: bytes from `start` to the end of the file; `unwritten`: those whose output is not written yet."""
        before = self._before
        self._before = (before + chunk[-formats.CONTEXT :])[-formats.CONTEXT :]
        self._handed = [(handed, size) for handed, size in self._handed if handed.at_work()]
        spare = self._helpers is not None and self._helpers.spare(len(self._handed))
        if self._helpers is None or not spare or self._is_too_much(chunk, left, unwritten):
            begun = time.monotonic()
            done = self._work.do(chunk, before)
            self._pace = len(chunk) / max(time.monotonic() - begun, 1e-6)
            return done
        self._handed_since = self._handed_since or time.monotonic()
        self._handed_bytes += len(chunk)
        into = self._pieces.with_name(f"{self._pieces.name}.{start}.part")
        handed = self._helpers.hand(self._told, self._source, start, len(chunk), before, into)
        self._handed.append((handed, len(chunk)))
        return handed

    def _is_too_much(self, chunk: bytes, left: int, unwritten: int) -> bool:
        """Whether the others all have something, and more than their part of what is left with this chunk too."""
        others, sizes = self._workers - 1, [size for _, size in self._handed]
        if len(sizes) < others:
            return False
        done = self._pace * others * (time.monotonic() - self._handed_since)
        ahead = min(max(self._handed_bytes - done, sum(sizes[others:])), sum(sizes))
        return ahead + len(chunk) > others / self._workers * (ahead + left + _BESIDES * unwritten)


def _at_work(done: Done | Handed) -> bool:
    return isinstance(done, Handed) and done.at_work()


def _with_header(file: BinaryIO, out: BinaryIO, job: Job, tally: Tally) -> Job:
    """The first record names the columns and stays as it is."""
    try:
        header, content = tables.header(file, job.delimiter)
    except tables.NotATable as error:
        raise FileRefused(error.zh, error.en, error.line + 1) from None
    if Work(job).holds_data(header):
        zh, en = "首行应为列名，但其中有个人信息", "names no columns in its first line, which holds personal data"
        raise FileRefused(zh, en, 1)
    if missing := sorted(set(job.fields or ()) - set(header)):
        raise no_such(missing)
    tally.take(content)
    tally.give(out, content)
    tally.lines += content.count(b"\n") or 1
    tally.fields |= set(header)
    return msgspec.structs.replace(job, header=tuple(header))


def _require_fields(job: Job, tally: Tally) -> None:
    """A field that is nowhere is a misspelt one, and what was meant would stay as it is."""
    if job.fields is not None and tally.records and (missing := sorted(set(job.fields) - tally.fields)):
        raise no_such(missing)
