"""The values that training programs print. `loss` is called train_loss and `lr` learning_rate, all others as printed.

The `train_loss` of Hugging Face's last line is the mean over the whole training, so it is called mean_train_loss here:
as a latest value or as the last point of a curve it would be wrong. A value that is not finite is None: that a loss has
become nan is what its readers have to see.
"""

from __future__ import annotations

import json
import math
import re
from typing import NamedTuple

METRIC_MARKS = (b"{'", b"step=", b"iteration", b"optimization steps")

_COUNTABLE = 10.0**18  # steps beyond fit no store
_LONGEST = 4096  # characters; no program prints a longer line of metrics
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_VALUE = re.compile(rf"(?:(?:np|numpy)\.\w{{1,20}}\()?({_NUMBER}|[-+]?(?:nan|inf|NAN|INF))\)?", re.ASCII)
_PAIR = re.compile(
    r"""'([^'\\]{1,200})':\ (?:'([^'\\]{0,400})'|"[^"\\]{0,400}"|([^,'"{}\[\]]{1,80}))(?:,\ |\}$)""", re.VERBOSE
)
_TOTAL = re.compile(r"Total optimization steps = ([\d,]{1,20})\s*$", re.ASCII)
_DEEPSPEED_STEP = re.compile(r"(?:^|\s)step=(\d{1,18}), skipped=(\d{1,18}), lr=\[([^\],]*)", re.ASCII)
_DEEPSPEED_SPEED = re.compile(r"epoch=(\d{1,18})/micro_step=\d+/global_step=(\d{1,18}), (.*)", re.ASCII)
_MEGATRON = re.compile(r"(?:^|\s)iteration\s+(\d{1,18})/\s*(\d{1,18}) \|(.*)", re.ASCII)
_MEGATRON_EVALUATION = re.compile(r"validation loss at iteration (\d{1,18})[^|]*\|(.*)", re.ASCII)

_NAMES = {"loss": "train_loss", "lm loss": "train_loss", "lr": "learning_rate"}
_DEEPSPEED_NAMES = {"RunningAvgSamplesPerSec": "mean_samples_per_second", "CurrSamplesPerSec": "samples_per_second"}
_MEGATRON_EVALUATION_NAMES = {"lm loss value": "eval_loss", "lm loss PPL": "eval_perplexity"}
_STEPS = ("step", "global_step")


class Reading(NamedTuple):
    """What one line says: values by name, and where it knows them the step and the number of steps."""

    values: dict[str, float | None]
    step: int | None = None
    total: int | None = None


def read_metrics(text: str) -> Reading | None:
    """Of a line of output without rank prefixes; none where it is no line of metrics."""
    if len(text) > _LONGEST:
        return None
    if text.startswith("{'"):
        return _trainer(text)
    if "iteration" in text and "|" in text:
        return _megatron(text)
    if "step=" in text:
        return _deepspeed(text)
    total = _TOTAL.search(text)
    return Reading({}, total=int(total[1].replace(",", "") or 0)) if total else None


def _trainer(text: str) -> Reading | None:
    """Hugging Face Trainer 4 (numbers) and 5 (numbers as text), trl: a flat dict with a loss or an epoch."""
    found: dict[str, float] = {}
    place = 1
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return None
        value = _VALUE.fullmatch(pair[2] or pair[3] or "")
        if value:
            found[pair[1]] = float(value[1])
        place = pair.end()
    # A loss that is nan is no number, and still shows that this is a line of metrics.
    if not text.endswith("}") or not ("'epoch': " in text or "loss': " in text):
        return None
    if "train_runtime" in found and "train_loss" in found:
        found["mean_train_loss"] = found.pop("train_loss")
    return _reading(found, _STEPS, ())


def _deepspeed(text: str) -> Reading | None:
    found = _DEEPSPEED_STEP.search(text)
    if found:
        values = _numbers({"skipped_steps": found[2], "learning_rate": found[3]})
        return Reading(values, step=int(found[1]))
    found = _DEEPSPEED_SPEED.search(text)
    if found:
        fields = dict(field.split("=", 1) for field in found[3].split(", ") if "=" in field)
        values = {_DEEPSPEED_NAMES[key]: number for key, number in _numbers(fields).items() if key in _DEEPSPEED_NAMES}
        return Reading(values, step=int(found[2]))
    return None


def _megatron(text: str) -> Reading | None:
    found = _MEGATRON.search(text)
    if found:
        values = _numbers(_fields(found[3]))
        return Reading(_named(values), step=int(found[1]), total=int(found[2]))
    found = _MEGATRON_EVALUATION.search(text)
    if found:
        values = _numbers(_fields(found[2]))
        names = _MEGATRON_EVALUATION_NAMES
        return Reading({names[key]: number for key, number in values.items() if key in names}, step=int(found[1]))
    return None


def _fields(text: str) -> dict[str, str]:
    pairs = (field.split(":", 1) for field in text.split("|") if ":" in field)
    return {name.strip(): value.strip() for name, value in pairs}


def _numbers(fields: dict[str, str]) -> dict[str, float | None]:
    found = ((name, _VALUE.fullmatch(value.strip())) for name, value in fields.items())
    return {name: _finite(float(value[1])) for name, value in found if value}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _named(values: dict[str, float | None]) -> dict[str, float | None]:
    """Megatron-LM's `elapsed time per iteration (ms)` is `elapsed_time_per_iteration_ms`."""
    return {_NAMES.get(name) or re.sub(r"\W+", "_", name.lower()).strip("_"): value for name, value in values.items()}


def _reading(found: dict[str, float], steps: tuple[str, ...], totals: tuple[str, ...]) -> Reading:
    step = next((_count(found[name]) for name in steps if name in found), None)
    total = next((_count(found[name]) for name in totals if name in found), None)
    values = {_NAMES.get(name, name): _finite(value) for name, value in found.items() if name not in (*steps, *totals)}
    return Reading(values, step, total)


def _count(value: float) -> int | None:
    return int(value) if 0 <= value < _COUNTABLE else None


def read_trainer_log_line(line: bytes) -> Reading | None:
    """A line of LLaMA-Factory's `trainer_log.jsonl`; none where it is not a JSON object.

    Not by msgspec: where a value is nan, Python writes NaN.
    """
    try:
        found = json.loads(line)
        if not isinstance(found, dict):
            return None
        numbers = {
            name: float(value)
            for name, value in found.items()
            if name != "percentage"
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            # Half of a surrogate pair is no text, and json lets it pass.
            and name.isprintable()
        }
    except (ValueError, RecursionError, OverflowError):
        return None
    return _reading(numbers, ("current_steps",), ("total_steps",))
