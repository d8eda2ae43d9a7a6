"""Samples as real programs print them, and the properties that let a supervisor be killed anywhere."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.telemetry import TRAINER_LOG, LogLine, MetricPoint
from services.training.parsers import LINE_LIMIT, OutputParser, Parsed, advanced, read_trainer_log, training_progress

NOW = 1712904843.25


def parsed(output: bytes | str, limit: int = LINE_LIMIT) -> Parsed:
    """All that a whole output says."""
    return in_chunks([output.encode() if isinstance(output, str) else output], limit)


def in_chunks(chunks: list[bytes], limit: int = LINE_LIMIT) -> Parsed:
    parser = OutputParser(limit=limit)
    parts = [parser.feed(chunk, NOW) for chunk in chunks] + [parser.finish(NOW)]
    assert all(before.end == after.start for before, after in pairwise(parts))
    return joined(parts)


def joined(parts: list[Parsed]) -> Parsed:
    return Parsed(
        start=parts[0].start,
        end=parts[-1].end,
        lines=tuple(line for part in parts for line in part.lines),
        points=tuple(point for part in parts for point in part.points),
        step=parts[-1].step,
        total_steps=parts[-1].total_steps,
    )


def texts(output: bytes | str, limit: int = LINE_LIMIT) -> list[str]:
    return [line.message for line in parsed(output, limit).lines]


def level(line: str) -> str:
    (only,) = parsed(line + "\n").lines
    return only.level


def values(output: str) -> dict[str, float | None]:
    return {point.name: point.value for point in parsed(output).points}


# Lines


def test_each_line_once_with_its_offset() -> None:
    assert parsed("一\n  two\r\nthree\rfour").lines == (
        LogLine(0, NOW, "INFO", "一"),
        LogLine(4, NOW, "INFO", "  two"),
        LogLine(11, NOW, "INFO", "three"),
        LogLine(17, NOW, "INFO", "four"),
    )


def test_blank_segments_are_no_lines() -> None:
    assert texts("\n\n a \n   \n\t\n\x1b[2K\n[default0]:\n\x1b[A\r\n") == [" a"]


def test_a_line_without_end_waits_until_the_output_has_ended() -> None:
    parser = OutputParser(100)
    waiting = parser.feed(b"half", NOW)
    assert (waiting.start, waiting.end, waiting.lines) == (100, 100, ())
    ended = parser.finish(NOW)
    assert (ended.end, ended.lines) == (104, (LogLine(100, NOW, "INFO", "half"),))
    assert parser.finish(NOW).lines == ()


def test_what_no_store_or_terminal_should_get_is_made_harmless() -> None:
    assert texts(b"a\0b\x07c\x7f\t|\n") == ["a␀b␇c␡\t|"]
    assert texts(b"bad \xff\xfe utf-8 \xed\xa0\x80\n") == ["bad �� utf-8 ���"]
    assert texts("c1 \x9b31m\n") == ["c1 �31m"]
    assert texts("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ \x1b(B\x1bM.\n") == ["red link ."]
    assert texts("\x1b]0;never ended\n") == ["␛]0;never ended"]


def test_a_long_line_is_cut_with_a_mark() -> None:
    assert texts("x" * 16_384 + "\n") == ["x" * 16_384]
    assert texts("x" * 20_000 + "\nnext\n") == ["x" * 16_384 + " … [cut, 20000 bytes]", "next"]
    assert texts("训练训练\n", limit=7) == ["训练 … [cut, 12 bytes]"]
    assert texts(b"\0" * 9 + b"\n", limit=4) == ["␀␀␀␀ … [cut, 9 bytes]"]
    assert texts(" " * 9 + "x\n", limit=4) == [" … [cut, 10 bytes]"]


def test_a_line_without_end_takes_constant_memory() -> None:
    parser = OutputParser()
    chunk = b"x" * 65_536
    tracemalloc.start()
    try:
        for _ in range(512):
            parser.feed(chunk, NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(chunk)
    (line,) = parser.feed(b"\nnext", NOW).lines
    assert line.message.endswith(f"x … [cut, {512 * len(chunk)} bytes]")
    assert parser.finish(NOW).lines == (LogLine(512 * len(chunk) + 1, NOW, "INFO", "next"),)


# Levels


@pytest.mark.parametrize(
    "line",
    [
        "ERROR:root:boom",
        "2024-04-12 08:45:09,192 - trainer - ERROR - boom",
        "[2024-04-12 08:45:09,192] [ERROR] [launch.py:321:sigkill_handler] exits with return code = 1",
        "[ERROR|tokenization_utils_base.py:1057] 2024-04-12 08:45:09 >> boom",
        "CRITICAL: boom",
        "Traceback (most recent call last):",
        "RuntimeError: CUDA out of memory.",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "[rank0]: torch.OutOfMemoryError: CUDA out of memory.",
        "[default3]:[rank3]:[E ProcessGroupNCCL.cpp:563] Watchdog caught collective operation timeout",
        "\x1b[31mERROR\x1b[0m boom",
        "KeyboardInterrupt",
        "ray.exceptions.RayTaskError(ValueError): boom",
        "train.py: error: unrecognized arguments: --lrr",
        "error: boom",
        "run_train_full_sft.sh: line 3: torchrun: command not found",
        "bash: run_train_full_sft.sh: No such file or directory",
        "python3: can't open file '/data1/train.py': [Errno 2] No such file or directory",
        "Segmentation fault (core dumped)",
        "E1123 12:00:00.000000 1234 cuda.cc:12] failed call",
        "E1123 12:00:00.000000 1234 main.py:12] failed call",
        "2024-04-12 08:45:09.192384: E external/local_xla/xla/stream_executor/cuda/cuda_fft.cc:485] Unable to register",
        "错误：ERROR，请检查",
    ],
)  # fmt: skip
def test_errors(line: str) -> None:
    assert level(line) == "ERROR"


@pytest.mark.parametrize(
    "line",
    [
        "WARNING:root:careful",
        "[WARNING|modeling_utils.py:1189] 2024-04-12 08:45:09,192 >> You are attempting to use Flash Attention 2.0",
        "2024-04-12 08:45:09 - WARN - careful",
        "/usr/lib/python3/torch/utils/checkpoint.py:429: UserWarning: torch.utils.checkpoint: use_reentrant",
        "FutureWarning: `tokenizer` is deprecated",
        "Warning: careful",
        "[rank1]:[W1123 12:00:00.000 ProcessGroupNCCL.cpp:4115] using GPU 1",
        "WARNING: ERROR in five steps if this goes on",
    ],
)
def test_warnings(line: str) -> None:
    assert level(line) == "WARNING"


@pytest.mark.parametrize(
    "line",
    [
        "[INFO|trainer.py:2134] 2024-04-12 >> tried again after ERROR",
        "NCCL_DEBUG=INFO LOG_LEVEL=ERROR python train.py",
        "loading /data/ERROR/part-0",
        "no errors, no warnings",
        '  File "/data1/train.py", line 3, in <module>',
        "{'loss': '5.58', 'epoch': '0.5'}",
    ],
)
def test_what_is_neither(line: str) -> None:
    assert level(line) == "INFO"


def test_debug() -> None:
    assert level("DEBUG:asyncio:Using selector: EpollSelector") == "DEBUG"


# Bars


def bar(step: int, total: int, description: str = "", rate: str = " 1.90it/s") -> str:
    return f"{description}{step / total:4.0%}|{'█' * (step * 10 // total):10}| {step}/{total} [00:03<00:22, {rate}]"


def test_bars_collapse_and_a_complete_one_stays() -> None:
    output = "start\n" + "".join("\r" + bar(step, 50) for step in range(51)) + "\n"
    found = parsed(output)
    assert [line.message for line in found.lines] == ["start", bar(50, 50)]
    assert (found.step, found.total_steps, found.progress) == (50, 50, 0.99)


def test_progress_is_that_of_the_bar_without_description_and_with_a_constant_total() -> None:
    output = (
        f"\r{bar(0, 4, 'Loading checkpoint shards: ')}\r{bar(4, 4, 'Loading checkpoint shards: ')}\n"
        f"\r{bar(0, 2, rate='? examples/s')}\r{bar(0, 50)}\r{bar(6, 50)}\r{bar(3, 5)}"
        f"\r[default0]:{bar(7, 50)}\r{bar(5, 5)}\rDownloading: 12%\r"
    )
    found = parsed(output)
    assert (found.step, found.total_steps, found.progress) == (7, 50, 0.14)
    assert [line.message for line in found.lines] == [
        bar(4, 4, "Loading checkpoint shards: "),
        "Downloading: 12%",
    ]


def test_an_unfinished_bar_at_the_end_of_a_line_is_no_line() -> None:
    assert texts(f"\r{bar(18, 50)}\nTraceback (most recent call last):\n") == ["Traceback (most recent call last):"]


def test_text_behind_a_bar_is_a_line_of_its_own() -> None:
    output = f"\r{bar(7, 50)}{{'loss': 5.58, 'epoch': 0.5}}\n"
    found = parsed(output)
    offset = len(output[: output.index("{")].encode())
    assert found.lines == (LogLine(offset, NOW, "INFO", "{'loss': 5.58, 'epoch': 0.5}"),)
    assert found.points[0] == MetricPoint(offset, NOW, "train_loss", 5.58, 7)


def test_a_bar_without_total_collapses() -> None:
    count = "Generating train split: 1200 examples [00:01, 1150.22 examples/s]"
    assert texts(f"\r0 examples [00:00, ? examples/s]\r{count}\r{count}\n") == [count]


def test_coloured_and_ascii_bars() -> None:
    found = parsed("\r 12%|\x1b[32m#2        \x1b[0m| 6/50 [1:00:03<22:00:22, 100.1s/it, loss=5.5]\x1b[A\r")
    assert (found.lines, found.step, found.total_steps) == ((), 6, 50)


def test_the_logged_number_of_steps_is_believed_first() -> None:
    line = "[INFO|trainer.py:2141] 2024-04-12 08:45:09,192 >>   Total optimization steps = 1,234\n"
    found = parsed(f"\r{bar(0, 10)}\r{bar(10, 10)}\n{line}\r{bar(617, 1234)}\r")
    assert (found.step, found.total_steps, found.progress) == (617, 1234, 0.5)


def test_progress_never_goes_back_and_is_whole_only_at_the_end() -> None:
    assert training_progress(None, 50) is None
    assert training_progress(3, 0) is None
    assert training_progress(0, 50) == 0.05
    assert training_progress(25, 50) == 0.5
    assert training_progress(60, 50) == 0.99
    assert advanced(0.5, 0.4) == 0.5
    assert advanced(0.5, 0.6) == 0.6
    assert advanced(0.5, None) == 0.5


# Metrics


def test_hugging_face_4() -> None:
    line = "{'loss': 5.58, 'grad_norm': 2.081, 'learning_rate': 4e-05, 'epoch': 0.5}\n"
    assert values(line) == {"train_loss": 5.58, "grad_norm": 2.081, "learning_rate": 4e-05, "epoch": 0.5}
    assert texts(line) == [line.strip()]


def test_hugging_face_5() -> None:
    line = "{'loss': '5.58', 'grad_norm': '2.081', 'learning_rate': '4e-05', 'epoch': '0.5'}\n"
    assert values(line) == {"train_loss": 5.58, "grad_norm": 2.081, "learning_rate": 4e-05, "epoch": 0.5}


def test_hugging_face_evaluation_and_summary() -> None:
    assert values("{'eval_loss': np.float64(1.25), 'eval_runtime': 3.1, 'epoch': 1.0}\n") == {
        "eval_loss": 1.25,
        "eval_runtime": 3.1,
        "epoch": 1.0,
    }
    assert values("{'train_runtime': '26.2', 'train_loss': '4.2', 'epoch': '2'}\n") == {
        "train_runtime": 26.2,
        "mean_train_loss": 4.2,
        "epoch": 2.0,
    }


def test_trl_gives_any_numeric_key() -> None:
    line = (
        "{'loss': 0.69, 'rewards/chosen': -0.01, 'logps/rejected': '-1.2e+02', 'model': 'qwen', 'ok': True, 'epoch': 1}"
    )
    assert values(line + "\n") == {"train_loss": 0.69, "rewards/chosen": -0.01, "logps/rejected": -120, "epoch": 1}


def test_values_that_are_not_finite_are_points_without_a_value() -> None:
    assert values(
        "{'loss': nan, 'grad_norm': '-inf', 'learning_rate': 1e999, 'x': np.float64(nan), 'epoch': 0.5}\n"
    ) == {
        "train_loss": None,
        "grad_norm": None,
        "learning_rate": None,
        "x": None,
        "epoch": 0.5,
    }
    assert values(" iteration 10/ 100 | lm loss: NAN | loss scale: 1.0 | grad norm: inf |\n") == {
        "train_loss": None,
        "loss_scale": 1.0,
        "grad_norm": None,
    }
    trained = read_trainer_log(
        b'{"current_steps": 3, "total_steps": 10, "loss": NaN, "lr": Infinity, "epoch": 0.3}\n', 0, NOW
    )
    assert {point.name: point.value for point in trained.points} == {
        "train_loss": None,
        "learning_rate": None,
        "epoch": 0.3,
    }
    assert (trained.step, trained.total_steps) == (3, 10)


@pytest.mark.parametrize(
    "line", ['{"loss": 1%s}' % ("0" * 400), "[" * 100_000, r'{"\ud800": 1.0}', '{"loss": 1e', "[1]", '"\xff"']
)
def test_what_is_no_line_of_the_trainers_log_says_nothing(line: str) -> None:
    found = read_trainer_log(line.encode("latin-1") + b"\n", 0, NOW)
    assert (found.points, found.end) == ((), len(line) + 1)


def test_a_dict_names_its_own_step() -> None:
    found = parsed(f"\r{bar(7, 50)}\r{{'loss': 1.5, 'step': 12}}\n")
    assert found.points == (MetricPoint(len(bar(7, 50).encode()) + 2, NOW, "train_loss", 1.5, 12),)
    assert parsed("{'loss': 1.5, 'step': 1e300}\n").points[0].step is None


@pytest.mark.parametrize(
    "line",
    [
        "{'batch_size': 4}",
        "{'loss': {'a': 1}, 'epoch': 1}",
        "{'loss': [1, 2], 'epoch': 1}",
        "{'loss': 1.0, 'epoch': 1",
        "{'loss': 1.0, 'epoch': __import__('os')}",
        "{'loss': 1.0, " + "'x': 1, " * 1000 + "'epoch': 1}",
        "say {'loss': 1.0, 'epoch': 1}",
    ],
)
def test_what_is_no_line_of_metrics(line: str) -> None:
    assert parsed(line + "\n").points == ()
    assert len(parsed(line + "\n").lines) == 1


def test_rank_prefixes() -> None:
    for prefix in ("[default0]:", "[rank0]: ", "[default0]:[rank0]:", "[1,0]<stdout>:"):
        assert values(prefix + "{'loss': 5.58, 'epoch': 0.5}\n") == {"train_loss": 5.58, "epoch": 0.5}


def test_megatron() -> None:
    found = parsed(
        " [2024-04-12 08:45:09] iteration       10/     100 | consumed samples:          320 | "
        "elapsed time per iteration (ms): 1234.5 | learning rate: 1.500000E-04 | lm loss: 1.050000E+01 | "
        "loss scale: 1.0 | grad norm: 6.100 | number of nan iterations:   0 |\n"
        " validation loss at iteration 10 on validation set | lm loss value: 9.5E+00 | lm loss PPL: 1.3E+04 |\n"
    )
    assert {point.name: point.value for point in found.points} == {
        "consumed_samples": 320,
        "elapsed_time_per_iteration_ms": 1234.5,
        "learning_rate": 1.5e-4,
        "train_loss": 10.5,
        "loss_scale": 1,
        "grad_norm": 6.1,
        "number_of_nan_iterations": 0,
        "eval_loss": 9.5,
        "eval_perplexity": 13000,
    }
    assert {point.step for point in found.points} == {10}
    assert found.progress == 0.1


def test_deepspeed() -> None:
    found = parsed(
        "[2024-04-12 08:45:09,192] [INFO] [logging.py:96:log_dist] [Rank 0] "
        "step=10, skipped=0, lr=[1e-05], mom=[(0.9, 0.95)]\n"
        "[2024-04-12 08:45:09,193] [INFO] [timer.py:260:stop] epoch=0/micro_step=40/global_step=20, "
        "RunningAvgSamplesPerSec=12.5, CurrSamplesPerSec=12.75, MemAllocated=2.34GB, MaxMemAllocated=10.2GB\n"
    )
    assert [(point.name, point.value, point.step) for point in found.points] == [
        ("skipped_steps", 0, 10),
        ("learning_rate", 1e-5, 10),
        ("mean_samples_per_second", 12.5, 20),
        ("samples_per_second", 12.75, 20),
    ]
    assert found.step == 20


def test_trainer_log_of_llama_factory() -> None:
    first = {"current_steps": 5, "total_steps": 50, "loss": 5.5821, "lr": 4e-5, "epoch": 0.5, "percentage": 10.0}
    timing = {"elapsed_time": "0:00:03", "remaining_time": "0:00:27", "throughput": 120.5, "total_tokens": 4096}
    lines = [
        json.dumps({**first, **timing}),
        "no json",
        json.dumps({"current_steps": 10, "total_steps": 50, "eval_loss": 4.5}),
        '{"curr',
    ]
    data = "\n".join(lines).encode()
    found = read_trainer_log(data, 1000, NOW)
    first_place = TRAINER_LOG + 1000  # where lines of output never are
    evaluated = first_place + data.index(b'{"current_steps": 10')
    assert [(point.offset, point.name, point.value, point.step) for point in found.points] == [
        (first_place, "train_loss", 5.5821, 5),
        (first_place, "learning_rate", 4e-5, 5),
        (first_place, "epoch", 0.5, 5),
        (first_place, "throughput", 120.5, 5),
        (first_place, "total_tokens", 4096, 5),
        (evaluated, "eval_loss", 4.5, 10),
    ]
    assert (found.start, found.end, found.progress) == (1000, 1000 + data.rindex(b"{"), 0.2)


# Killed anywhere, read in any pieces

PIECES = st.sampled_from(
    [
        b"\n", b"\r", b"\r\n", b" ", b"text", "训练".encode(), b"ERROR: boom", b"\x1b[31m", b"\0", b"\xff",
        b"[default0]:", b"[rank1]: ", b"E1123 12:00:00 a.b:1] x", b"{\x1b[0m'loss': 1.5, 'epoch': 1}", b"sh:\tx",
        b"ERR\x1b[0mOR", b"3 it [00:01, 2.5it/s] ", b"a:", b"DEBUG", b"W 1.cc:",
        bar(0, 50).encode(), bar(6, 50).encode(), bar(50, 50).encode(), bar(1, 5).encode(), bar(2, 2, "Map: ").encode(),
        b"3it [00:01, 2.5it/s]", b"{'loss': '5.58', 'epoch': '0.5'}", b"{'loss': 1.5, 'step': 3}",
        b"Total optimization steps = 60", b" iteration 10/ 100 | lm loss: 1.5 |", b"x" * 50,
    ]
)  # fmt: skip
OUTPUTS = st.one_of(st.lists(PIECES, max_size=40).map(b"".join), st.binary(max_size=200))


@given(OUTPUTS, st.lists(st.integers(0, 2000)), st.sampled_from([40, 16_384]))
def test_any_chunks_give_the_same(output: bytes, cuts: list[int], limit: int) -> None:
    places = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    chunks = [output[start:end] for start, end in pairwise(places)]
    assert in_chunks(chunks, limit=limit) == parsed(output, limit=limit)


@given(OUTPUTS, st.integers(1, 60))
def test_any_restart_at_a_committed_offset_gives_the_same(output: bytes, size: int) -> None:
    whole = parsed(output)
    parts: list[Parsed] = []
    parser = OutputParser()
    for start in range(0, len(output), size):
        parts.append(parser.feed(output[start : start + size], NOW))
        committed = parts[-1]
        restarted = OutputParser(committed.end, step=committed.step, total_steps=committed.total_steps)
        rest = [restarted.feed(output[committed.end :], NOW), restarted.finish(NOW)]
        assert joined([*parts, *rest]) == whole


@given(OUTPUTS)
def test_offsets_are_exact_and_text_can_be_stored(output: bytes) -> None:
    found = parsed(output)
    assert found.end == len(output)
    offsets = [line.offset for line in found.lines]
    assert offsets == sorted(set(offsets))
    for line in found.lines:
        line.message.encode()  # no lone surrogate
        assert not any(ord(character) < 32 and character != "\t" for character in line.message)
        assert output[line.offset : line.offset + 1] not in (b"\r", b"\n", b"")
    assert {point.offset for point in found.points} <= set(offsets)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"], exclude_characters="%|"), min_size=1)))
def test_text_that_is_no_progress_stays(lines: list[str]) -> None:
    assert texts("".join(f"\r{bar(1, 50)}\r{line}\r\n" for line in lines)) == lines
