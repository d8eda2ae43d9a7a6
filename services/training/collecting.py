"""What of the files in a run's directories is the run's own."""

from __future__ import annotations

from pathlib import Path

from services.training import artifacts
from services.training.executors import Place
from services.training.launching import Plan
from services.training.overlaps import overlapped

_MTIME_TICK = 0.1  # file times lag behind the clock by up to a kernel tick


def found(place: Place, plan: Plan, root: Path, known: frozenset[str], *, ended: bool) -> list[artifacts.Found]:
    """The artifacts of an attempt that are whole now; the checkpoints whose paths are `known` are left out."""
    directories = [root / plan.output] if plan.output else []
    if plan.shared and not overlapped(place):
        directories.append(root / plan.shared)
    since = plan.launched_at - _MTIME_TICK
    left = plan.configuration.found if plan.configuration else []
    for path in directories:
        left += artifacts.checkpoints(path, since, ended=ended, known=known)
    if ended and plan.output:
        left += artifacts.tensorboards(root / plan.output, since)
    elif ended and directories:
        left += artifacts.tensorboards(directories[0], since)
    if ended and directories:
        left += artifacts.trainer_logs(directories[0], since)
    return left
