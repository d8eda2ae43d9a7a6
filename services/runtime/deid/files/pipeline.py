"""A file through a pool of processes, in order, into a temporary file that takes its name when it is complete."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from services.runtime.deid.files.formats import BYTE_ORDER_MARK, FileFormat, chunks, format_of
from services.runtime.deid.files.work import Done, Job, Work
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.refusals import Canceled, FileRefused
from services.runtime.durable_files import sync_directory

CHUNK_BYTES = 4 * 1024 * 1024
_MOST_QUARANTINED = 1000

Progress = Callable[[int, int], None]


class Cancellation(Protocol):
    """A `threading.Event`, or one of processes."""

    def is_set(self) -> bool: ...


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a file, without a word of its content.

    `quarantined`: how many lines were left out; `quarantined_lines` are the first thousand of them, from 1.
    """

    format: FileFormat
    policy_id: str
    policy_version: str
    records: int
    counts: dict[str, int]
    input_bytes: int
    input_sha256: str
    output_bytes: int
    output_sha256: str
    quarantined: int = 0
    quarantined_lines: tuple[int, ...] = ()


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
    `format`: by the name of `source` where left out. `workers`: processes; 1 works in this one. `progress` is told
    bytes done and in all. Neither `workers` nor `chunk_bytes` changes the output. Raises FileRefused,
    Canceled, OSError.
    """
    kind = format or format_of(source.name)
    derived = keys.derive(policy.key, policy.id, policy.version, seed)
    job = Job(policy=policy, keys=derived, locale=locale, kind=kind, fields=None if fields is None else tuple(fields))
    if kind == "parquet":
        from services.runtime.deid.files.parquet import deidentify_parquet

        write: Callable[[BinaryIO, _Tally], None] = lambda out, tally: deidentify_parquet(source, out, job, tally)  # noqa: E731
    else:
        write = lambda out, tally: _write(source, out, job, tally, workers, chunk_bytes)  # noqa: E731
    tally = _Tally(source.stat().st_size, policy, progress, canceled)
    temporary = target.with_name(f".{target.name}.part")
    try:
        with temporary.open("wb") as out:
            write(out, tally)
            _require_fields(job, tally)
            out.flush()
            os.fsync(out.fileno())
        report = tally.report(kind, source, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)
    return report


class _Tally:
    """What the chunks add up to, in their order."""

    def __init__(self, size: int, policy: Policy, progress: Progress | None, canceled: Cancellation | None) -> None:
        self._size, self._policy, self._progress, self._canceled = size, policy, progress, canceled
        self._quarantine = policy.bad_lines == "quarantine"
        self.read, self.written = hashlib.sha256(), hashlib.sha256()
        self.bytes_read = self.bytes_written = self.lines = self.records = self.quarantined = 0
        self.bad: list[int] = []
        self.counts: Counter[str] = Counter()
        self.fields: set[str] = set()

    def take(self, chunk: bytes) -> None:
        if self._canceled is not None and self._canceled.is_set():
            raise Canceled
        self.read.update(chunk)
        self.bytes_read += len(chunk)

    def give(self, out: BinaryIO, content: bytes) -> None:
        out.write(content)
        self.written.update(content)
        self.bytes_written += len(content)

    def add(self, done: Done, out: BinaryIO, taken: int) -> None:
        """Raises FileRefused for a bad line where the policy does not leave those out."""
        for bad in done.bad:
            if bad.fatal or not self._quarantine:
                raise FileRefused(bad.zh, bad.en, self.lines + bad.line + 1)
            self.quarantined += 1
            if len(self.bad) < _MOST_QUARANTINED:
                self.bad.append(self.lines + bad.line + 1)
        self.give(out, done.content)
        self.lines += done.lines
        self.records += done.records
        self.counts.update(done.counts)
        self.fields |= done.fields
        self.tell(taken)

    def tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(min(done, self._size), self._size)

    def report(self, kind: FileFormat, source: Path, target: Path) -> Report:
        del source, target
        return Report(
            format=kind,
            policy_id=self._policy.id,
            policy_version=self._policy.version,
            records=self.records,
            counts=dict(sorted(self.counts.items())),
            input_bytes=self.bytes_read,
            input_sha256=self.read.hexdigest(),
            output_bytes=self.bytes_written,
            output_sha256=self.written.hexdigest(),
            quarantined=self.quarantined,
            quarantined_lines=tuple(self.bad),
        )


def _write(source: Path, out: BinaryIO, job: Job, tally: _Tally, workers: int, chunk_bytes: int) -> None:
    with source.open("rb") as file, ExitStack() as stack:
        if file.read(3) == BYTE_ORDER_MARK:
            tally.take(BYTE_ORDER_MARK)
            tally.give(out, BYTE_ORDER_MARK)
        else:
            file.seek(0)
        if job.kind in ("csv", "tsv"):
            job = _with_header(file, out, job, tally)
        pieces = _taken(chunks(file, job.kind, chunk_bytes), tally)
        if workers <= 1:
            work = Work(job)
            for chunk in pieces:
                tally.add(work.do(chunk), out, tally.bytes_read)
            return
        pool = stack.enter_context(_pool(job, workers))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        waiting: deque[tuple[Future[Done], int]] = deque()
        for chunk in pieces:
            waiting.append((pool.submit(_do, chunk), tally.bytes_read))
            if len(waiting) > 2 * workers:
                first, taken = waiting.popleft()
                tally.add(first.result(), out, taken)
        while waiting:
            first, taken = waiting.popleft()
            tally.take(b"")
            tally.add(first.result(), out, taken)


def _taken(pieces: Iterator[bytes], tally: _Tally) -> Iterator[bytes]:
    for chunk in pieces:
        tally.take(chunk)
        yield chunk


def _with_header(file: BinaryIO, out: BinaryIO, job: Job, tally: _Tally) -> Job:
    """The first record names the columns and stays as it is."""
    line = file.readline(1 << 20)
    while line.count(b'"') % 2 and (more := file.readline(1 << 20)):
        line += more
    try:
        header = next(csv.reader(io.StringIO(line.decode(), newline=""), delimiter="\t" if job.kind == "tsv" else ","))
    except (StopIteration, csv.Error, UnicodeDecodeError):
        raise FileRefused("没有可用的表头", "has no header that can be read", 1) from None
    if missing := sorted(set(job.fields or ()) - set(header)):
        raise _missing(missing)
    tally.take(line)
    tally.give(out, line)
    tally.lines += line.count(b"\n") or 1
    tally.fields |= set(header)
    return msgspec.structs.replace(job, header=tuple(header))


def _require_fields(job: Job, tally: _Tally) -> None:
    """A field that is nowhere is a misspelt one, and what was meant would stay as it is."""
    if job.fields is not None and tally.records and (missing := sorted(set(job.fields) - tally.fields)):
        raise _missing(missing)


def _missing(fields: Sequence[str]) -> FileRefused:
    names = ", ".join(fields)
    return FileRefused(f"文件中没有字段：{names}", f"the file has no such field: {names}")


def _pool(job: Job, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(job,))


_work: Work | None = None


def _begin(job: Job) -> None:
    """In a process of the pool, which ends with its parent even where that is killed."""
    global _work  # noqa: PLW0603 - a process of the pool does one job
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = Work(job)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(chunk: bytes) -> Done:
    assert _work is not None
    return _work.do(chunk)
