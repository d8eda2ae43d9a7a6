"""What a run is launched with: written down once before the launch, so that a later supervisor knows it too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from events.runs import Run
from services.runtime.durable_files import write_durably
from services.training.artifacts import Configuration, keep_configuration
from services.training.executors import Place

_OWN_PREFIXES = ("NATS_", "TRAINLEDGER_")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`output` is the run's own directory, handed over as OUTPUT_DIR; `shared` the one that its YAML names.

    Both none where the YAML names none. `launched_at` is in Unix seconds.
    """

    argv: tuple[str, ...]
    workdir: str
    launched_at: float
    configuration: Configuration | None
    output: str | None
    shared: str | None


def prepare(place: Place, run: Run, root: Path) -> Plan:
    """The plan that the attempt was or will be launched by; the first call decides."""
    file = place.directory / "plan.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Plan)
    except FileNotFoundError:
        pass
    configuration = keep_configuration(root, run.training_yaml, place.directory)
    named = configuration.output_dir if configuration else None
    shared = root / named if named else None
    plan = Plan(
        argv=run.argv,
        workdir=str(root),
        launched_at=time.time(),
        configuration=configuration,
        output=str(shared / str(place.run_id)) if shared else None,
        shared=str(shared) if shared else None,
    )
    write_durably(file, msgspec.json.encode(plan))
    return plan


def child_environment(own: Mapping[str, str], settings: frozenset[str], plan: Plan, python: str) -> dict[str, str]:
    """The service's environment `own` without its settings and secrets, and what every training is told."""
    environment = {
        name: value for name, value in own.items() if name not in settings and not name.startswith(_OWN_PREFIXES)
    }
    environment |= {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "TRAINLEDGER_PYTHON": python}
    environment.pop("OUTPUT_DIR", None)
    if plan.output is not None:
        environment["OUTPUT_DIR"] = plan.output
    return environment
