"""Supervised fine-tuning of a byte language model on alpaca-style records: python train_sft.py CONFIG.yaml"""

from __future__ import annotations

import json
import math
import random
import signal
import sys
import time
from pathlib import Path

from byte_lm import ANSWER, END, START, Adam, ByteModel
from checkpoints import load_model, load_progress, save
from reports import Report
from settings import HOME, Settings, read_settings


def read_records(path: Path, cutoff: int) -> list[tuple[str, str]]:
    """(prompt, answer) of each line; ValueError names the line that has none."""
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            prompt, answer = "\n".join(filter(None, (record["instruction"], record.get("input")))), record["output"]
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise ValueError(f"{path}, line {number}: no record with instruction and output ({wrong!r})") from None
        room = max(0, cutoff - len(prompt.encode()))
        records.append((prompt, answer.encode()[:room].decode(errors="ignore")))
    if not records:
        raise ValueError(f"{path}: no records")
    return records


def as_batch(model: ByteModel, records: list[tuple[str, str]]) -> tuple[list[list[int]], list[int]]:
    """The context of every token of the answers, and that token; prompts are read but not learnt."""
    contexts, targets = [], []
    for prompt, answer in records:
        tokens = [*[START] * model.context, *model.encode(prompt), ANSWER]
        first = len(tokens)
        tokens += [*model.encode(answer), END]
        for place in range(first, len(tokens)):
            contexts.append(tokens[place - model.context : place])
            targets.append(tokens[place])
    return contexts, targets


def records_of_step(records: list[tuple[str, str]], step: int, size: int, seed: int) -> list[tuple[str, str]]:
    """The records of step `step`, counted from 0: a function of the seed, so a continuation sees the same order."""
    epoch, place = divmod(step, math.ceil(len(records) / size))
    order = list(records)
    random.Random(f"order {seed} {epoch}").shuffle(order)
    return order[place * size : (place + 1) * size]


def train(settings: Settings) -> None:
    records = read_records(HOME / settings.dataset, settings.cutoff_len)
    size, output, total = settings.per_device_train_batch_size, settings.output, settings.total_steps(len(records))
    steps_per_epoch = math.ceil(len(records) / size)

    source = settings.resume_from_checkpoint
    vocabulary = sorted({byte for record in records for text in record for byte in text.encode()})
    model = load_model(HOME / (source or settings.model_name_or_path), vocabulary, settings.seed)
    if source:
        optimizer, state = load_progress(HOME / source, model)
        print(f"Continuing from {source}, step {state['global_step']} of {total}", flush=True)
    else:
        optimizer = Adam(model.weights)
        state = {"global_step": 0, "log_history": [], "loss_sum": 0.0, "loss_unlogged": 0.0}

    output.mkdir(parents=True, exist_ok=True)
    if not source:
        if not settings.overwrite_output_dir and any(output.glob("checkpoint-*")):
            raise ValueError(f"output_dir: {output} has checkpoints already; set overwrite_output_dir or another one")
        (output / "trainer_log.jsonl").unlink(missing_ok=True)
    print("***** Running training *****", f"  Num examples = {len(records)}", sep="\n")
    print(f"  Total optimization steps = {total}", flush=True)

    began, first = time.monotonic(), state["global_step"]
    report = Report(output / "trainer_log.jsonl", total, first)
    for step in range(first, total):
        rate = settings.learning_rate_at(step, total)
        contexts, targets = as_batch(model, records_of_step(records, step, size, settings.seed))
        loss, gradients = model.loss_and_gradient(contexts, targets)
        norm = optimizer.step(gradients, rate, step + 1, settings.max_grad_norm)

        done = step + 1
        state["global_step"], state["epoch"] = done, done / steps_per_epoch
        state["max_steps"] = total
        state["loss_sum"] += loss
        state["loss_unlogged"] += loss
        report.advanced(done)
        if done % settings.logging_steps == 0 or done == total:
            mean = state["loss_unlogged"] / (done - (state["log_history"][-1]["step"] if state["log_history"] else 0))
            values = {"loss": mean, "grad_norm": norm, "learning_rate": rate, "epoch": state["epoch"]}
            state["loss_unlogged"] = 0.0
            state["log_history"].append({**values, "step": done})
            report.logged(values, done)
        if done % settings.save_steps == 0 or done == total:
            save(output, done, model, optimizer, state)

    seconds = max(time.monotonic() - began, 1e-9)
    summary = {
        "train_runtime": seconds,
        "train_samples_per_second": (total - first) * size / seconds,
        "train_steps_per_second": (total - first) / seconds,
        "train_loss": state["loss_sum"] / max(1, state["global_step"]),
        "epoch": total / steps_per_epoch,
    }
    report.say(summary, total)
    report.close()


def main(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # the bar is not ASCII, whatever the locale
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(arguments) != 1:
        print("usage: python train_sft.py CONFIG.yaml", file=sys.stderr)
        return 2
    try:
        settings = read_settings(Path(arguments[0]))
    except (OSError, ValueError) as wrong:
        print(f"ERROR: {arguments[0]}: {wrong}", file=sys.stderr)
        return 2
    try:
        train(settings)
    except (OSError, ValueError) as wrong:
        print(f"ERROR: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
