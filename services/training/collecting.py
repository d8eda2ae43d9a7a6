"""What of the files in a run's directories is the run's own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import msgspec

from contracts.runs import ReportRunEnded
from contracts.telemetry import Ends
from services.runtime.durable_files import write_durably
from services.training import artifacts
from services.training.artifacts import Found
from services.training.checkpoints import checkpoints
from services.training.executors import Place
from services.training.launching import TRAINER_LOG_FILE, Plan
from services.training.merging import Files
from services.training.overlaps import overlapped
from services.training.trainer_log import Written

_MTIME_TICK = 0.1  # file times lag behind the clock by up to a kernel tick
_CHUNK = 1024 * 1024


class KeptOutput(msgspec.Struct, frozen=True):
    """The raw files of an attempt; none where nothing was printed, or somebody took the file away."""

    stdout: Found | None
    stderr: Found | None
    order: Found | None

    @property
    def artifacts(self) -> list[Found]:
        return [found for found in (self.stdout, self.stderr, self.order) if found is not None]


def files(place: Place, plan: Plan, root: Path) -> Files:
    """What an attempt says, and where; of a trainer's log that several runs write, only what this one did."""
    logs = [place.trainer_log]
    if directory := plan.output or plan.shared:
        logs.insert(0, root / directory / TRAINER_LOG_FILE)
    return Files(place.output, place.errors, place.order, tuple(logs), plan.earlier)


def keep_output(place: Place, ends: Ends) -> KeptOutput:
    """The raw files as far as they were published; the notes on their order where there is any."""
    return KeptOutput(
        _kept(place.output, "log", ends.stdout),
        _kept(place.errors, "log", ends.stderr),
        _kept(place.order, "log_order", _size(place.order)) if ends.stdout and ends.stderr else None,
    )


def keep_report(place: Place, ended: ReportRunEnded) -> Found:
    """How the attempt ended, as it is reported, in a file beside its output; the first such report stays."""
    path = place.directory / "exit.json"
    if not path.exists():
        write_durably(path, msgspec.json.format(msgspec.json.encode(ended)) + b"\n")
    content = path.read_bytes()
    return Found(path.name, "exit_report", str(path), len(content), sha256=hashlib.sha256(content).hexdigest())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _kept(path: Path, type_: str, length: int) -> Found | None:
    length = min(length, _size(path))  # the training may have cut it itself
    sha256 = digest(path, length) if length else None
    return None if sha256 is None else Found(path.name, type_, str(path), length, sha256=sha256)


def digest(path: Path, length: int) -> str | None:
    """SHA-256 in hex of the first `length` bytes, none where somebody took the file away."""
    sha256 = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while length > 0 and (data := file.read(min(length, _CHUNK))):
                sha256.update(data)
                length -= len(data)
    except FileNotFoundError:
        return None
    return sha256.hexdigest() if length == 0 else None


def found(place: Place, plan: Plan, root: Path, known: frozenset[str], *, ended: bool) -> list[artifacts.Found]:
    """The artifacts of an attempt that are whole now; the checkpoints whose paths are `known` are left out."""
    directories = [root / plan.output] if plan.output else []
    if plan.shared and not overlapped(place):
        directories.append(root / plan.shared)
    since = plan.launched_at - _MTIME_TICK
    left = plan.configuration.found if plan.configuration else []
    for path in directories:
        left += checkpoints(path, since, ended=ended, known=known)
    if ended and plan.output:
        left += artifacts.tensorboards(root / plan.output, since)
    elif ended and directories:
        left += artifacts.tensorboards(directories[0], since)
    if ended and plan.output:
        left += artifacts.trainer_logs(root / plan.output, since)
    elif ended and directories:
        keep_part(directories[0] / TRAINER_LOG_FILE, plan.earlier, place.trainer_log)
        left += artifacts.trainer_logs(place.directory, since)
    return left


def keep_part(path: Path, earlier: Written, target: Path) -> None:
    """Copies what a run added to a file that others write too, so that it stays what it was."""
    begin = earlier.still_in(path)
    if target.exists() or not path.is_file() or path.is_symlink() or path.stat().st_size <= begin:
        return
    draft = target.with_name(f".{target.name}")
    with path.open("rb") as source, draft.open("wb") as copy:
        source.seek(begin)
        shutil.copyfileobj(source, copy)
        os.fsync(copy.fileno())
    draft.rename(target)
