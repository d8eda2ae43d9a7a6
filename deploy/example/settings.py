"""The YAML file of a training: every key is known, has a type, and does what it says."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path

try:
    import yaml
except ImportError:
    raise SystemExit("PyYAML is missing: install it, or let TRAINLEDGER_PYTHON name a Python that has it") from None

# What the ledger tells a run goes before what its file says.
_FROM_ENVIRONMENT = (
    ("output_dir", "OUTPUT_DIR"),
    ("resume_from_checkpoint", "RESUME_FROM_CHECKPOINT"),
    ("dataset", "TRAINLEDGER_DATASET_FILE"),
)

HOME = Path(__file__).resolve().parent


@dataclass
class Settings:
    """LLaMA-Factory's names and meanings; what has no default must be in the file."""

    model_name_or_path: str
    dataset: str
    output_dir: str
    per_device_train_batch_size: int
    learning_rate: float
    stage: str = "sft"
    finetuning_type: str = "full"
    cutoff_len: int = 2048
    num_train_epochs: float = 3.0
    max_steps: int = -1
    lr_scheduler_type: str = "linear"
    warmup_ratio: float = 0.0
    max_grad_norm: float = 1.0
    logging_steps: int = 500
    save_steps: int = 500
    seed: int = 42
    overwrite_output_dir: bool = False
    resume_from_checkpoint: str | None = None

    def check(self) -> None:
        for name, allowed in (
            ("stage", ("sft",)),
            ("finetuning_type", ("full",)),
            ("lr_scheduler_type", ("cosine", "linear", "constant")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: {getattr(self, name)!r} is none of {', '.join(allowed)}")
        for name in (
            "per_device_train_batch_size",
            "learning_rate",
            "cutoff_len",
            "num_train_epochs",
            "logging_steps",
            "save_steps",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: must be above 0")
        if not 0 <= self.warmup_ratio <= 1:
            raise ValueError("warmup_ratio: must be from 0 to 1")
        if self.max_grad_norm < 0:
            raise ValueError("max_grad_norm: must not be below 0")

    @property
    def output(self) -> Path:
        return HOME / self.output_dir

    def total_steps(self, records: int) -> int:
        if self.max_steps > 0:
            return self.max_steps
        return math.ceil(math.ceil(records / self.per_device_train_batch_size) * self.num_train_epochs)

    def learning_rate_at(self, step: int, total: int) -> float:
        """The rate of step `step`, counted from 0: a linear warm-up, then the named schedule down to 0."""
        warmup = math.ceil(self.warmup_ratio * total)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, total - warmup)
        if self.lr_scheduler_type == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * (1 - done if self.lr_scheduler_type == "linear" else 1)


def as_typed(name: str, kind: str, value: object) -> object:
    """The value as its field's type; YAML reads 1e-4 as text, so text that is a number is one here."""
    if kind == "str | None" and value in (None, False, ""):
        return None
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind.startswith("str") and isinstance(value, str) and value:
        return value
    if kind in ("int", "float") and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number) and (kind == "float" or number == int(number)):
            return number if kind == "float" else int(number)
    raise ValueError(f"{name}: {value!r} is not {'a text' if kind.startswith('str') else kind}")


def read_settings(path: Path) -> Settings:
    """The settings of a file; the environment goes before it. ValueError says what is wrong."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as wrong:
        raise ValueError(f"not YAML: {wrong}") from None
    if not isinstance(found, dict):
        raise ValueError("not a mapping of keys to values")  # noqa: TRY004 (a wrong file, not a wrong call)
    for key, variable in _FROM_ENVIRONMENT:
        if os.environ.get(variable):
            found[key] = os.environ[variable]
    kinds = {field.name: str(field.type) for field in fields(Settings)}
    unknown = [str(key) for key in found if key not in kinds]
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    required = ("model_name_or_path", "dataset", "output_dir", "per_device_train_batch_size", "learning_rate")
    missing = [key for key in required if found.get(key) is None]
    if missing:
        raise ValueError(f"missing keys: {', '.join(missing)}")
    settings = Settings(**{key: as_typed(key, kinds[key], value) for key, value in found.items()})
    settings.check()
    return settings
