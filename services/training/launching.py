"""What a run is launched with: written down once before the launch, so that a later supervisor knows it too."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import msgspec

from events.runs import Run
from services.runtime.durable_files import write_durably
from services.runtime.settings import ENVIRONMENT_NAMES
from services.training.configuration import Configuration, keep_configuration
from services.training.executors import Place
from services.training.trainer_log import Written

TRAINER_LOG_FILE = "trainer_log.jsonl"
_OWN_PREFIXES = ("NATS_", "TRAINLEDGER_")
_TOLD = ("OUTPUT_DIR", "RESUME_FROM_CHECKPOINT")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`output` is the run's own directory, handed over as OUTPUT_DIR; `shared` the one that its YAML names.

    Both are relative to the working directory unless the YAML's is absolute, and none where it names none; `output` is
    none too where runs have no output directory of their own.
    `resume` is the checkpoint to continue from, spelt like them, and `dataset` the uploaded file to train on, if any.
    `launched_at` is in Unix seconds. `earlier` is what a trainer's log in the directory that is not the run's own held.
    """

    argv: tuple[str, ...]
    launched_at: float
    configuration: Configuration | None
    output: str | None
    shared: str | None
    resume: str | None = None
    dataset: str | None = None
    max_wall_seconds: float | None = None
    earlier: Written = Written(0, b"")

    @property
    def seconds_left(self) -> float:
        """Of the time that the attempt may run."""
        if self.max_wall_seconds is None:
            return math.inf
        return self.launched_at + self.max_wall_seconds - time.time()


def prepare(place: Place, run: Run, root: Path, *, own_output: bool = True) -> Plan:
    """The plan that the attempt was or will be launched by; the first call decides."""
    file = place.directory / "plan.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Plan)
    except FileNotFoundError:
        pass
    own = str(place.run_id) if own_output else None
    resume = _as_seen_by_it(run.resume_from, root) if run.resume_from else None
    configuration = _keep(root, run, place, own=own, resume=resume)
    named = configuration.output_dir if configuration else None
    plan = Plan(
        argv=run.argv,
        launched_at=time.time(),
        configuration=configuration,
        output=os.path.join(named, own) if named and own else None,  # noqa: PTH118 - as the YAML spells it
        shared=named,
        resume=resume,
        dataset=run.stored_dataset.path if run.stored_dataset else None,
        max_wall_seconds=run.max_wall_seconds,
        earlier=Written.of(root / named / TRAINER_LOG_FILE) if named and not own else Written(0, b""),
    )
    write_durably(file, msgspec.json.encode(plan))
    return plan


def shared_directory(place: Place, run: Run, root: Path) -> str | None:
    """Where a run without an output directory of its own will write, by the YAML that is kept for it from now on."""
    place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    resume = _as_seen_by_it(run.resume_from, root) if run.resume_from else None
    configuration = _keep(root, run, place, own=None, resume=resume)
    if configuration is None or configuration.output_dir is None:
        return None
    return os.path.realpath(root / configuration.output_dir)


def _keep(root: Path, run: Run, place: Place, *, own: str | None, resume: str | None) -> Configuration | None:
    uploaded = run.stored_config.filename if run.stored_config else None
    path = run.training_yaml_path
    return keep_configuration(root, path, place.directory, own_directory=own, resume=resume, filename=uploaded)


def variables(plan: Plan) -> dict[str, str]:
    """What every training is told by its environment, wherever it runs."""
    # A process that writes its title over its environment would not be found by its mark: setproctitle is told not to.
    told = {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "SPT_NOENV": "1"}
    if plan.output is not None:
        told["OUTPUT_DIR"] = plan.output
    if plan.resume is not None:
        told["RESUME_FROM_CHECKPOINT"] = plan.resume
    if plan.dataset is not None:
        told["TRAINLEDGER_DATASET_FILE"] = plan.dataset
    return told


def _as_seen_by_it(path: str, root: Path) -> str:
    """A container has the training directory elsewhere, so what lies in it is named from there."""
    inside = Path(path).is_relative_to(root)
    return os.path.relpath(path, root) if inside else path


def withheld(name: str) -> bool:
    """Environment variables that are the service's own business: its settings and its secrets."""
    return name in ENVIRONMENT_NAMES.values() or name.startswith(_OWN_PREFIXES) or name in _TOLD
