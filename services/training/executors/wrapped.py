"""What the wrapper leaves in a run's directory, read and written from this host."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from services.training.configuration import KEPT
from services.training.executors import Ended, Place
from services.training.processes import Identity

CONFIG_FILE = "TRAINLEDGER_CONFIG_FILE"  # the environment variable that names the run's own YAML
_WRAPPER = Path(__file__).parent.parent / "wrapper.sh"

_REFUSALS = {
    "workdir": "工作目录不存在或无法进入：{what}",
    "command": "找不到命令：{what}",
    "script": "训练脚本不存在或不可读：{what}",
    "exec": "无法执行命令：{what}",
}


def install(place: Place) -> Path:
    """Puts the wrapper into the run's directory: a run keeps the one it began with, whatever is installed later."""
    place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    wrapper = place.directory / "wrapper.sh"
    if not wrapper.exists():
        prepared = place.directory / f".wrapper.{secrets.token_hex(4)}"
        shutil.copyfile(_WRAPPER, prepared)
        prepared.rename(wrapper)
    return wrapper


def configuration(place: Place) -> Path | None:
    """The run's own YAML, none where it has none."""
    kept = place.directory / KEPT
    return kept if kept.exists() else None


def claim(place: Place) -> bool:
    """Takes the right to launch as a wrapper does, and does nothing with it; False where it was taken before."""
    place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepared = place.directory / f".started.{secrets.token_hex(8)}"
    prepared.mkdir()
    (prepared / "prevented").touch()
    try:
        os.rename(prepared, place.directory / "started")  # noqa: PTH104 - onto a directory that is not empty it fails
    except OSError:
        shutil.rmtree(prepared)
        return False
    return True


def claimed(place: Place) -> bool:
    return (place.directory / "started").exists()


def prevented(place: Place) -> bool:
    return (place.directory / "started" / "prevented").exists()


def wrapper_identity(place: Place) -> Identity | None:
    return _identity(place.directory / "started" / "wrapper")


def command_identity(place: Place) -> Identity | None:
    return _identity(place.directory / "pid")


def ended(place: Place) -> Ended | None:
    text = _read(place.directory / "exit")
    if text is None:
        return None
    code, _, *further = text.split()
    return Ended(int(code), refusal(place), "oom" in further)


def refusal(place: Place) -> str | None:
    text = _read(place.directory / "refused")
    if text is None:
        return None
    kind, _, what = text.rstrip("\n").partition(" ")
    return _REFUSALS[kind].format(what=what)


def _identity(path: Path) -> Identity | None:
    text = _read(path)
    return None if text is None else Identity.parse(text)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None
