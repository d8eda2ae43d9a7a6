"""What a training shows: dict lines as of Hugging Face Trainer 5, a bar as tqdm draws it, trainer_log.jsonl."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

BLOCKS = " ▏▎▍▌▋▊▉█"


def clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


class Report:
    """Standard output takes the dict lines, standard error the bar; the log file grows by whole lines."""

    def __init__(self, log: Path, total: int, step: int) -> None:
        self.total, self.first, self.began, self.drawn = total, step, time.monotonic(), 0.0
        self.width = 0
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.draw(step)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def remaining(self, step: int) -> float:
        return self.elapsed / (step - self.first) * (self.total - step) if step > self.first else 0.0

    def draw(self, step: int) -> None:
        """The bar at `step`, drawn over the one before."""
        eighths = int(step / self.total * 80)
        bar = "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths < 80 else "")
        left, speed = "?", "?it/s"
        if step > self.first and self.elapsed > 0:
            rate = (step - self.first) / self.elapsed
            left, speed = clock(self.remaining(step)), f"{rate:5.2f}it/s" if rate >= 1 else f"{1 / rate:5.2f}s/it"
        text = f"{step / self.total:4.0%}|{bar:10}| {step}/{self.total} [{clock(self.elapsed)}<{left}, {speed}]"
        sys.stderr.write("\r" + text.ljust(self.width))
        sys.stderr.flush()
        self.width, self.drawn = len(text), self.elapsed

    def advanced(self, step: int) -> None:
        """Draws at most ten times a second, as tqdm does."""
        if self.elapsed - self.drawn >= 0.1:
            self.draw(step)

    def say(self, values: dict[str, float], step: int) -> None:
        """A dict line in place of the bar, which is drawn again below it."""
        self.draw(step)
        sys.stderr.write("\r" + " " * self.width + "\r")
        sys.stderr.flush()
        print({name: f"{value:.4g}" for name, value in values.items()}, flush=True)
        self.draw(step)

    def logged(self, values: dict[str, float], step: int) -> None:
        self.say(values, step)
        line = {
            "current_steps": step,
            "total_steps": self.total,
            "loss": values["loss"],
            "lr": values["learning_rate"],
            "epoch": values["epoch"],
            "percentage": round(100 * step / self.total, 2),
            "elapsed_time": str(timedelta(seconds=int(self.elapsed))),
            "remaining_time": str(timedelta(seconds=int(self.remaining(step)))),
        }
        os.write(self.log, json.dumps(line).encode() + b"\n")  # one write: a reader sees whole lines

    def close(self) -> None:
        sys.stderr.write("\n")
        sys.stderr.flush()
        os.close(self.log)
