"""From the raw bytes of a run's output to log lines, metric points and progress, with exact byte offsets."""

from __future__ import annotations

import re

import msgspec

from contracts.telemetry import TRAINER_LOG, LogLine, MetricPoint, PointSource, Stream
from services.training.parsers.bars import BAR_MARK, find_bar, is_count
from services.training.parsers.metrics import METRIC_MARKS, Reading, read_metrics, read_trainer_log_line
from services.training.parsers.text import LEVEL_MARKS, cleaned, level_of, unranked, whole_characters

LINE_LIMIT = 16 * 1024  # bytes of a line that are kept
PROGRESS_STARTED, PROGRESS_UNFINISHED = 0.05, 0.99  # only a run that completed has 1.0

_MARKS = (BAR_MARK, *METRIC_MARKS, *LEVEL_MARKS)
_PLAIN = bytes((*b"\t\n", *range(0x20, 0x7F)))  # characters that need no cleaning
_TERMINATOR = re.compile(rb"[\r\n]")
_NAME_LIMIT = 200


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes from `start` to `end` say; `end` is behind a line end, and where a parser may be started again.

    `step` and `total_steps` are what all output up to `end` has said of them, `progress` what follows from both.
    """

    start: int
    end: int
    lines: tuple[LogLine, ...] = ()
    points: tuple[MetricPoint, ...] = ()
    step: int | None = None
    total_steps: int | None = None

    @property
    def progress(self) -> float | None:
        return training_progress(self.step, self.total_steps)


def training_progress(step: int | None, total_steps: int | None) -> float | None:
    """The part of the training that is done, never below 0.05 and, as the run still has to end, never above 0.99."""
    if step is None or not total_steps:
        return None
    return max(PROGRESS_STARTED, min(PROGRESS_UNFINISHED, step / total_steps))


def advanced(progress: float, seen: float | None) -> float:
    """Progress never goes back."""
    return progress if seen is None else max(progress, seen)


class Seen:
    """What the output has said of the steps; the streams of a training tell it together."""

    def __init__(self, step: int | None = None, total: int | None = None) -> None:
        self.step = step
        self.total = total


class OutputParser:
    r"""Fed with a file's bytes in order, in chunks of any size, from any `end` of a Parsed on.

    A segment ends with `\n` or `\r`, so `\r\n` ends one and a blank one behind it; blank segments are no lines. A bar
    is no line, except when it is complete and ended by `\n`; text printed behind a bar is a line of its own. Only the
    undecided last segment is kept between calls, and of that `limit` bytes. Restarted with the `step` and
    `total_steps` of that Parsed, it gives the same as one that was never stopped.

    `base` is how many bytes of other files come before what is fed next; offsets in Parsed count without it.
    """

    def __init__(
        self,
        offset: int = 0,
        *,
        step: int | None = None,
        total_steps: int | None = None,
        limit: int = LINE_LIMIT,
        stream: Stream = "stdout",
        seen: Seen | None = None,
    ) -> None:
        self._offset, self._limit, self._stream = offset, limit, stream
        self._seen = Seen(step, total_steps) if seen is None else seen
        self.base = 0
        self._held = b""  # the first bytes of the undecided segment, which starts at _offset
        self._length = 0  # and all its bytes
        self._lines: list[LogLine] = []
        self._points: list[MetricPoint] = []

    def feed(self, data: bytes, time: float) -> Parsed:
        """The next bytes, read at `time` (Unix seconds)."""
        start = self._offset
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        place = 0
        if end and self._length:
            found = _TERMINATOR.search(data)
            assert found is not None
            place = found.end()
            self._hold(data[: place - 1])
            self._decide_held(data[place - 1] == 0x0A, time)
        if end > place:
            self._decide(data[place:end], time)
        self._hold(data[end:])
        return self._parsed(start)

    def finish(self, time: float) -> Parsed:
        """The output has ended: what is undecided is a line."""
        start = self._offset
        if self._length:
            self._decide_held(True, time)
            self._offset -= 1  # there was no terminator
        return self._parsed(start)

    def _parsed(self, start: int) -> Parsed:
        lines, points = tuple(self._lines), tuple(self._points)
        self._lines, self._points = [], []
        return Parsed(
            start=start,
            end=self._offset,
            lines=lines,
            points=points,
            step=self._seen.step,
            total_steps=self._seen.total,
        )

    def _hold(self, data: bytes) -> None:
        if len(self._held) < self._limit:
            self._held += data[: self._limit - len(self._held)]
        self._length += len(data)

    def _decide_held(self, final: bool, time: float) -> None:
        held, length = self._held, self._length
        self._held, self._length = b"", 0
        self._segment(held, length, self._offset, final, time)
        self._offset += length + 1

    def _decide(self, body: bytes, time: float) -> None:
        """Whole segments. Most lines of most outputs say nothing more than their text, so those take the short way."""
        offset, limit, lines, base, stream = self._offset, self._limit, self._lines, self.base, self._stream
        marks = [mark for mark in _MARKS if mark in body]
        if not marks and not body.translate(None, _PLAIN):
            self._decide_plain(body.decode("ascii"), time)
            return
        returns = b"\r" in body
        segments = (body.replace(b"\r", b"\n") if returns else body).split(b"\n")
        segments.pop()  # behind the last terminator
        place = 0
        for raw in segments:
            length = len(raw)
            if length:
                plain = length <= limit
                if plain and returns and body[place + length] == 0x0D:
                    plain = not raw.rstrip().endswith(b"]")
                if plain:
                    for mark in marks:
                        if mark in raw:
                            plain = False
                            break
                if plain:
                    text = cleaned(raw)
                    if text and (text[-1] != ":" or unranked(text)):
                        at = offset + place
                        lines.append(LogLine(base + at, time, "INFO", text, stream, at if base else None))
                else:
                    self._segment(raw[:limit], length, offset + place, body[place + length] == 0x0A, time)
            place += length + 1
        self._offset = offset + place

    def _decide_plain(self, body: str, time: float) -> None:
        """As `_decide`, of nothing but printable ASCII without marks, where a line is cleaned by itself."""
        offset, limit, lines, base, stream = self._offset, self._limit, self._lines, self.base, self._stream
        segments = body.split("\n")
        segments.pop()  # behind the last terminator
        for segment in segments:
            length = len(segment)
            if length > limit:
                self._segment(segment[:limit].encode(), length, offset, True, time)
            elif (text := segment.rstrip(" \t")) and (text[-1] != ":" or unranked(text)):
                lines.append(LogLine(base + offset, time, "INFO", text, stream, offset if base else None))
            offset += length + 1
        self._offset = offset

    def _segment(self, raw: bytes, length: int, offset: int, final: bool, time: float) -> None:
        """One segment of `length` bytes, of which `raw` are the first; `final` when nothing is drawn over it.

        It asks for the same marks as `_decide`: whether a line goes the short way must not change what it says.
        """
        cut = length > len(raw)
        if cut:
            raw = whole_characters(raw)
        place = 0
        while BAR_MARK in raw and (bar := find_bar(raw[place:])) is not None:
            if bar.training:
                self._see_bar(bar.step, bar.total)
            if final and bar.done and not cleaned(raw[place + bar.end :]):
                break
            place += bar.end
        if place:
            raw, offset = raw[place:], offset + place
        if not final and is_count(raw.rstrip()):
            return
        text = cleaned(raw)
        said = unranked(text)
        if not said:
            if not cut:
                return
            text = ""
        reading = read_metrics(said) if not cut and _has(METRIC_MARKS, raw) else None
        if reading:
            self._see(reading, offset, time)
        level = level_of(said) if _has(LEVEL_MARKS, raw) else "INFO"
        if cut:
            text += f" … [cut, {length} bytes]"
        at = offset if self.base else None
        self._lines.append(LogLine(self.base + offset, time, level, text, self._stream, at))

    def _see_bar(self, step: int, total: int) -> None:
        """The training's bar is the first without a description; one with another total is an evaluation's."""
        seen = self._seen
        if seen.total is None and step < total:
            seen.total = total
        if seen.total == total:
            seen.step = step

    def _see(self, reading: Reading, offset: int, time: float) -> None:
        if reading.total:
            self._seen.total = reading.total
        if reading.step is not None:
            self._seen.step = reading.step
        self._points.extend(_points(reading, self.base, offset, time, self._seen.step))


def _has(marks: tuple[bytes, ...], raw: bytes) -> bool:
    for mark in marks:  # noqa: SIM110 (a generator takes twice as long)
        if mark in raw:
            return True
    return False


def _points(
    reading: Reading, base: int, at: int, time: float, step: int | None, source: PointSource = "output"
) -> list[MetricPoint]:
    return [
        MetricPoint(base + at, time, name, value, step, source, at if base else None)
        for name, value in reading.values.items()
        if len(name) <= _NAME_LIMIT
    ]


def read_trainer_log(data: bytes, offset: int, time: float) -> Parsed:
    """Bytes of LLaMA-Factory's `trainer_log.jsonl` from `offset`; a last line that is not whole is left for later.

    Its values are unrounded and know their step, so where it exists it is a better source than the output.
    """
    end = data.rfind(b"\n") + 1
    points: list[MetricPoint] = []
    step = total = None
    place = 0
    for line in data[:end].splitlines(keepends=True):
        reading = read_trainer_log_line(line)
        if reading:
            step = step if reading.step is None else reading.step
            total = reading.total or total
            points += _points(reading, TRAINER_LOG, offset + place, time, reading.step, "trainer_log")
        place += len(line)
    return Parsed(start=offset, end=offset + end, points=tuple(points), step=step, total_steps=total)
