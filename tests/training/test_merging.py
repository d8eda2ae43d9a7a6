"""Two streams and the trainer's log as one sequence: in the order noted, the same wherever reading begins again."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from contracts.telemetry import TRAINER_LOG, Ends, LogLine, MetricPoint
from services.training.merging import Files, Merged, Merger
from services.training.trainer_log import Written

T = 1_700_000_000.0


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "out", tmp_path / "err", tmp_path / "order", (tmp_path / "trainer_log.jsonl",))


class Printing:
    """Writes as a child and the wrapper's look at it would."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def out(self, text: str) -> Printing:
        with self._files.stdout.open("a") as file:
            file.write(text)
        return self

    def err(self, text: str) -> Printing:
        with self._files.stderr.open("a") as file:
            file.write(text)
        return self

    def looked(self, last: str = "e") -> Printing:
        sizes = [path.stat().st_size if path.exists() else 0 for path in (self._files.stdout, self._files.stderr)]
        with self._files.order.open("a") as file:
            file.write(f"{sizes[0]} {sizes[1]} {last}\n")
        return self

    def trained(self, line: str) -> Printing:
        with self._files.trainer_logs[0].open("a") as file:
            file.write(f"{line}\n")
        return self


def read(files: Files, start: Ends | None = None, most: int = 1_000_000) -> list[Merged]:
    """Up to the end, as nobody writes any more."""
    merger = Merger(files, start or Ends())
    found = []
    while True:
        while (merged := merger.read(most, T)).size:
            found.append(merged)
        if not merger.unnoted():
            return [*found, merger.finish(T)]
        merger.note()


def texts(merged: list[Merged]) -> list[tuple[str, str]]:
    return [(line.stream, line.message) for part in merged for line in part.lines]


def test_lines_come_in_the_order_noted_each_with_its_stream_and_byte(files: Files) -> None:
    Printing(files).out("a\n").looked().err("b\n").looked().out("c\n").err("d\n").looked("o")
    lines = [line for part in read(files) for line in part.lines]
    assert lines == [
        LogLine(0, T, "INFO", "a", "stdout"),
        LogLine(2, T, "INFO", "b", "stderr", 0),
        LogLine(4, T, "INFO", "d", "stderr", 2),
        LogLine(6, T, "INFO", "c", "stdout", 2),
    ]


def test_a_line_in_two_parts_is_whole_whatever_the_other_stream_says_meanwhile(files: Files) -> None:
    Printing(files).out("first half, ").looked().err("between\n").looked().out("second half\n").looked()
    assert texts(read(files)) == [("stderr", "between"), ("stdout", "first half, second half")]


def test_only_what_was_noted_is_read(files: Files) -> None:
    printing = Printing(files).out("a\n").looked().out("b\n").err("c\n")
    merger = Merger(files, Ends())
    assert texts([merger.read(1_000, T)]) == [("stdout", "a")]
    assert merger.unnoted()
    merger.note()
    assert not merger.unnoted()
    assert {text for _, text in texts([merger.read(1_000, T)])} == {"b", "c"}
    printing.looked()
    assert merger.read(1_000, T).size == 0


def test_a_note_about_bytes_that_are_not_here_yet_waits_for_them(files: Files) -> None:
    printing = Printing(files).out("a\n").err("b\n").looked()
    printing.looked()
    files.order.write_text(f"{files.order.read_text()}4 2 e\n")
    merger = Merger(files, Ends())
    assert len(texts([merger.read(1_000, T)])) == 2
    assert merger.read(1_000, T).size == 0
    printing.out("c\n")
    assert texts([merger.read(1_000, T)]) == [("stdout", "c")]


def test_a_note_that_knows_less_than_the_one_before_changes_nothing(files: Files) -> None:
    Printing(files).out("a\nb\n").err("c\n").looked()
    files.order.write_text(f"{files.order.read_text()}\n2 0 o\nnonsense\n4 2 o\n")
    assert texts(read(files)) == [("stdout", "a"), ("stdout", "b"), ("stderr", "c")]


def test_reading_may_begin_again_anywhere(files: Files) -> None:
    dice = random.Random(7)
    printing = Printing(files)
    for number in range(300):
        for _ in range(dice.randrange(3)):
            say = printing.out if dice.random() < 0.5 else printing.err
            say(f"{number} {'x' * dice.randrange(40)}" + dice.choice(["\n", "\r", "", "\n\n", "\n"]))
        if dice.random() < 0.7:
            printing.looked(dice.choice("oe"))
    printing.out("last").looked()
    whole = read(files)
    expected = [line for part in whole for line in part.lines]
    assert [line.offset for line in expected] == sorted({line.offset for line in expected})
    for most in (7, 64, 1_000):
        parts = read(files, most=most)
        assert [line for part in parts for line in part.lines] == expected
        for index in dice.sample(range(len(parts)), min(len(parts), 60)):
            before = [line for part in parts[: index + 1] for line in part.lines]
            after = read(files, parts[index].end)
            assert before + [line for part in after for line in part.lines] == expected


def test_a_stream_that_the_training_cuts_goes_on_and_holds_up_nothing(files: Files) -> None:
    printing = Printing(files).out("a\n").err("first\n").looked()
    merger = Merger(files, Ends())
    assert texts([merger.read(1_000, T)]) == [("stdout", "a"), ("stderr", "first")]
    files.stderr.write_text("b\n")  # as `echo b > /dev/stderr` does
    printing.out("c\n").err("d\n").looked()
    again = merger.read(1_000, T)
    if merger.unnoted():
        merger.note()
    assert texts([again, merger.read(1_000, T)]) == [("stdout", "c"), ("stderr", "b"), ("stderr", "d")]
    printing.err("e\n").looked()
    for later in (Merger(files, again.end), Merger(files, merger.finish(T).end)):
        assert ("stderr", "e") in (said := texts([later.read(1_000, T)]))
        assert ("stderr", "first") not in said


def test_a_stream_that_was_cut_before_it_was_read_holds_up_nothing(files: Files) -> None:
    printing = Printing(files).err("first\n").looked()
    files.stderr.write_text("b\n")
    printing.looked().out("c\n").looked()
    assert texts(read(files)) == [("stderr", "b"), ("stdout", "c")]


def test_a_value_has_the_step_of_the_bar_that_is_drawn_again_behind_it(files: Files) -> None:
    printing = Printing(files).err("\r  0%|          | 0/5 [00:00<?, ?it/s]").looked()
    printing.out("{'loss': 1.2}\n").err("\r 20%|██        | 1/5 [00:01<00:04,  1.0s/it]\r").looked()
    (part, *_) = read(files)
    assert [(point.value, point.step) for point in part.points] == [(1.2, 1)]


def test_the_trainers_log_tells_its_values_once(files: Files) -> None:
    printing = Printing(files).trained('{"current_steps": 1, "total_steps": 4, "loss": 1.25, "lr": 1e-05}')
    printing.out("{'loss': 1.2, 'epoch': 0.5}\n").looked()
    merger = Merger(files, Ends())
    first = merger.read(1_000, T)
    assert [(point.source, point.name, point.value, point.step) for point in first.points] == [
        ("output", "train_loss", 1.2, 1),
        ("output", "epoch", 0.5, 1),
        ("trainer_log", "train_loss", 1.25, 1),
        ("trainer_log", "learning_rate", 1e-05, 1),
    ]
    assert first.progress == 0.25
    printing.trained('{"current_steps": 2, "total_steps": 4, "loss": 1.0}')
    for later in (merger, Merger(files, first.end)):
        (point,) = later.read(1_000, T).points
        assert isinstance(point, MetricPoint)
        assert (point.name, point.value, point.step) == ("train_loss", 1.0, 2)
        assert point.offset > TRAINER_LOG


def test_a_pipe_in_the_place_of_the_trainers_log_holds_up_nothing(files: Files) -> None:
    os.mkfifo(files.trainer_logs[0])
    assert Written.of(files.trainer_logs[0]) == Written(0, b"")
    Printing(files).out("a\n").looked()
    assert texts(read(files)) == [("stdout", "a")]


def test_of_a_log_that_others_wrote_before_only_what_is_added_counts(files: Files) -> None:
    line = '{"current_steps": %d, "total_steps": 9, "loss": %s}'
    Printing(files).trained(line % (8, "0.5"))
    earlier = Files(files.stdout, files.stderr, files.order, files.trainer_logs, Written.of(files.trainer_logs[0]))
    assert read(earlier)[-1].points == ()
    Printing(files).trained(line % (1, "1.5"))
    [added] = [point for part in read(earlier) for point in part.points]
    assert (added.offset, added.value, added.step) == (TRAINER_LOG, 1.5, 1)
    # Written anew, as trainers do at their start, and longer than it was.
    files.trainer_logs[0].unlink()
    Printing(files).trained(line % (1, "2.5")).trained(line % (2, "3.5"))
    assert [point.value for part in read(earlier) for point in part.points] == [2.5, 3.5]
