"""Reads what an attempt says, its stdout, stderr and trainer_log.jsonl, as one sequence of lines and points."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import msgspec

from contracts.telemetry import Ends, LogLine, MetricPoint
from services.runtime.durable_files import write_durably
from services.training.parsers import OutputParser, Parsed, Seen, read_trainer_log, training_progress
from services.training.trainer_log import Written, unread

_NOTES = 64 * 1024  # bytes of notes read at once


class Files(msgspec.Struct, frozen=True):
    """`order` notes how stdout and stderr interleave. `trainer_logs` are the places where that file may be.

    `earlier` is what the first of those held before: it is another run's, and no byte of it counts.
    """

    stdout: Path
    stderr: Path
    order: Path
    trainer_logs: tuple[Path, ...] = ()
    earlier: Written = Written(0, b"")


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes between two Ends say; `size` bytes were read, and with `more` others are waiting.

    Points of the trainer's log come last.
    """

    start: Ends
    end: Ends
    lines: tuple[LogLine, ...]
    points: tuple[MetricPoint, ...]
    step: int | None
    total_steps: int | None
    size: int
    more: bool

    @property
    def progress(self) -> float | None:
        return training_progress(self.step, self.total_steps)


class _Note(msgspec.Struct, frozen=True):
    """Both streams were that long, `first` is the index of the one that grew earlier; the note ends at byte `end`."""

    limits: tuple[int, int]
    first: int
    end: int


class Merger:
    """Started again from the `end` of a Merged, with its steps, it goes on as if it had never been stopped.

    Only what a note covers is read, in the order of the notes, so that the same files always give the same sequence.
    A line's offset counts the bytes of the lines of both streams that were whole before it. A stream that the training
    itself cuts, as `echo … > /dev/stderr` does to a file, goes on behind what was read of it before.
    """

    def __init__(self, files: Files, start: Ends, *, step: int | None = None, total_steps: int | None = None) -> None:
        self._seen = Seen(step, total_steps)
        self._paths = (files.stdout, files.stderr)
        self._files = files
        self._parsers = (
            OutputParser(start.stdout, stream="stdout", seen=self._seen),
            OutputParser(start.stderr, stream="stderr", seen=self._seen),
        )
        self._read = [start.stdout, start.stderr]
        self._done = start
        self._notes: deque[_Note] = deque()
        self._notes_read = self._order = start.order
        self._noted = (start.stdout, start.stderr)
        self._cut = [_read_cut(path) for path in self._paths]

    def read(self, most: int, time: float) -> Merged:
        """About `most` bytes, as read at `time` (Unix seconds)."""
        start = self._done
        self._notice_cuts()
        trained = self._read_trainer_log(time)
        lines: list[LogLine] = []
        points: list[MetricPoint] = []
        size = self._done.trainer_log - start.trainer_log
        more = True
        while size < most and (more := self._next_note()):
            note = self._notes[0]
            if note.first == 0 and (both := self._read_both(note, most - size)) is not None:
                size += len(both[0]) + len(both[1])
                self._parse_both(*both, time, lines, points)
                self._order = self._notes.popleft().end
                self._done = msgspec.structs.replace(self._done, order=self._order)
                continue
            for stream in (note.first, 1 - note.first):
                count = self._read_some(stream, min(note.limits[stream], self._read[stream] + most - size))
                if count:
                    size += count
                    said = self._parse(stream, self._data, time)
                    lines += said.lines
                    points += said.points
                if self._read[stream] < note.limits[stream]:
                    break
            else:
                self._order = self._notes.popleft().end
                self._done = msgspec.structs.replace(self._done, order=self._order)
                continue
            if size < most:
                more = False  # the note knows of more than is here yet
                break
        return self._merged(start, lines, points + trained, size, more)

    def unnoted(self) -> bool:
        """Whether a stream holds more than the notes say, or less: it was cut before all of it was read."""
        self._fetch_notes()
        return any(self._length(stream) != self._noted[stream] for stream in (0, 1))

    def note(self) -> None:
        """Notes what nobody has: what is there now. What notes say and is not there will not come."""
        for stream in (0, 1):
            self._forget_what_is_gone(stream)
        stdout, stderr = (max(_size(path), 0) for path in self._paths)
        last = "o" if _modified(self._paths[0]) > _modified(self._paths[1]) else "e"
        with self._files.order.open("ab", buffering=0) as file:
            file.write(f"\n{stdout} {stderr} {last}\n".encode())

    def finish(self, time: float) -> Merged:
        """Nothing comes any more: what is undecided is a line."""
        start = self._done
        lines: list[LogLine] = []
        points: list[MetricPoint] = []
        for stream in (0, 1):
            self._parsers[stream].base = self._base(stream)
            said = self._parsers[stream].finish(time)
            self._take(stream, said)
            lines += said.lines
            points += said.points
        return self._merged(start, lines, points, 0, False)

    def _merged(self, start: Ends, lines: list[LogLine], points: list[MetricPoint], size: int, more: bool) -> Merged:
        return Merged(
            start=start,
            end=self._done,
            lines=tuple(lines),
            points=tuple(points),
            step=self._seen.step,
            total_steps=self._seen.total,
            size=size,
            more=more,
        )

    def _base(self, stream: int) -> int:
        return self._done.stdout if stream else self._done.stderr

    def _parse(self, stream: int, data: bytes, time: float) -> Parsed:
        self._parsers[stream].base = self._base(stream)
        said = self._parsers[stream].feed(data, time)
        self._take(stream, said)
        return said

    def _read_both(self, note: _Note, most: int) -> tuple[bytes, bytes] | None:
        """What a note says of both streams, none where it says nothing of one, or it is not all here, or too much."""
        wanted = [limit - done for limit, done in zip(note.limits, self._read, strict=True)]
        if min(wanted) <= 0 or sum(wanted) > most:
            return None
        stdout, stderr = (self._bytes(stream, self._read[stream], wanted[stream]) for stream in (0, 1))
        if len(stdout) < wanted[0] or len(stderr) < wanted[1]:
            return None
        self._read = list(note.limits)
        return stdout, stderr

    def _parse_both(
        self, stdout: bytes, stderr: bytes, time: float, lines: list[LogLine], points: list[MetricPoint]
    ) -> None:
        """Stdout comes first. But the bar on stderr knows the step of what is printed at the same moment."""
        parser = self._parsers[1]
        parser.base = 0
        after = parser.feed(stderr, time)
        before = self._parse(0, stdout, time)
        behind = self._done.stdout
        self._take(1, after)
        lines += before.lines
        lines += (
            LogLine(line.offset + behind, line.time, line.level, line.message, line.stream, line.offset)
            for line in after.lines
        )
        points += before.points
        points += (
            msgspec.structs.replace(point, offset=point.offset + behind, at=point.offset) for point in after.points
        )

    def _take(self, stream: int, said: Parsed) -> None:
        done = self._done
        if stream:
            self._done = Ends(done.stdout, said.end, done.trainer_log, done.order)
        else:
            self._done = Ends(said.end, done.stderr, done.trainer_log, done.order)

    def _read_some(self, stream: int, until: int) -> int:
        begin = self._read[stream]
        self._data = self._bytes(stream, begin, until - begin) if until > begin else b""
        self._read[stream] += len(self._data)
        return len(self._data)

    def _read_trainer_log(self, time: float) -> list[MetricPoint]:
        begin = self._done.trainer_log
        said = read_trainer_log(unread(self._files.trainer_logs, self._files.earlier, begin), begin, time)
        self._seen.total = said.total_steps or self._seen.total
        self._seen.step = self._seen.step if said.step is None else said.step
        self._done = msgspec.structs.replace(self._done, trainer_log=said.end)
        return list(said.points)

    def _bytes(self, stream: int, begin: int, most: int) -> bytes:
        return _read(self._paths[stream], max(begin - self._cut[stream], 0), most)

    def _length(self, stream: int) -> int:
        return self._cut[stream] + _size(self._paths[stream])

    def _notice_cuts(self) -> None:
        for stream in (0, 1):
            if self._length(stream) < self._read[stream]:
                self._cut[stream] = self._read[stream]
                _write_cut(self._paths[stream], self._cut[stream])
                self._fetch_notes()
                self._forget_what_is_gone(stream)

    def _forget_what_is_gone(self, stream: int) -> None:
        known = self._length(stream)
        self._noted = (known, self._noted[1]) if stream == 0 else (self._noted[0], known)
        self._notes = deque(self._without_cut(note, stream) for note in self._notes)

    def _without_cut(self, note: _Note, stream: int) -> _Note:
        limits = list(note.limits)
        limits[stream] = min(limits[stream], self._length(stream))
        return _Note((limits[0], limits[1]), note.first, note.end)

    def _next_note(self) -> bool:
        if not self._notes:
            self._fetch_notes()
        return bool(self._notes)

    def _fetch_notes(self) -> None:
        data = _read(self._files.order, self._notes_read, _NOTES)
        data = data[: data.rfind(b"\n") + 1]
        place = self._notes_read
        for line in data.splitlines(keepends=True):
            place += len(line)
            if (found := _numbers(line)) is not None:
                stdout, stderr, first = found
                # Of two who note at the same time, the later note may know less. Of what was cut, notes know nothing.
                said = (stdout, stderr)
                limits = [self._length(stream) if self._cut[stream] else said[stream] for stream in (0, 1)]
                self._noted = (max(self._noted[0], limits[0]), max(self._noted[1], limits[1]))
                self._notes.append(_Note(self._noted, first, place))
        self._notes_read = place


def _numbers(line: bytes) -> tuple[int, int, int] | None:
    fields = line.split()
    if len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
        return None
    return int(fields[0]), int(fields[1]), int(fields[2] == b"o")


def _read(path: Path, begin: int, most: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), most, begin)
    except FileNotFoundError:
        return b""  # nothing was printed yet


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _cut_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.cut")


def _read_cut(path: Path) -> int:
    """How much of the stream was read before its file was cut the last time."""
    try:
        return int(_cut_file(path).read_text())
    except FileNotFoundError:
        return 0


def _write_cut(path: Path, length: int) -> None:
    write_durably(_cut_file(path), str(length).encode())


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
