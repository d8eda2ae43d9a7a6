"""What the wrapper leaves in a child's directory, read and written from this host."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from services.runtime.children import Child, Ended, Reason
from services.runtime.children.processes import Identity

_WRAPPER = Path(__file__).parent / "wrapper.sh"

_REFUSALS = {
    "workdir": ("工作目录不存在或无法进入", "there is no such working directory, or it cannot be entered"),
    "command": ("找不到命令", "there is no such command"),
    "script": ("脚本不存在或不可读", "there is no such script, or it cannot be read"),
    "exec": ("无法执行命令", "the command cannot be executed"),
}


def install(child: Child) -> Path:
    """Puts the wrapper into the child's directory: a child keeps the one it began with, whatever is installed later."""
    child.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    wrapper = child.directory / "wrapper.sh"
    if not wrapper.exists():
        prepared = child.directory / f".wrapper.{secrets.token_hex(4)}"
        shutil.copyfile(_WRAPPER, prepared)
        prepared.rename(wrapper)
    return wrapper


def output(child: Child) -> Path:
    """The raw output as far as it is on this host; of a child whose stderr is apart, only stdout."""
    return child.directory / "out.log"


def errors(child: Child) -> Path:
    """The raw stderr of a child that has it apart."""
    return child.directory / "err.log"


def order(child: Child) -> Path:
    """How stdout and stderr interleave where they are apart: lines `STDOUT STDERR LAST`, as the wrapper explains."""
    return child.directory / "order"


def claim(child: Child) -> bool:
    """Takes the right to launch as a wrapper does, and does nothing with it; False where it was taken before."""
    child.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepared = child.directory / f".started.{secrets.token_hex(8)}"
    prepared.mkdir()
    (prepared / "prevented").touch()
    try:
        os.rename(prepared, child.directory / "started")  # noqa: PTH104 - onto a directory that is not empty it fails
    except OSError:
        shutil.rmtree(prepared)
        return False
    return True


def claimed(child: Child) -> bool:
    return (child.directory / "started").exists()


def prevented(child: Child) -> bool:
    return (child.directory / "started" / "prevented").exists()


def wrapper_identity(child: Child) -> Identity | None:
    return _identity(child.directory / "started" / "wrapper")


def command_identity(child: Child) -> Identity | None:
    return _identity(child.directory / "pid")


def ended(child: Child) -> Ended | None:
    text = _read(child.directory / "exit")
    if text is None:
        return None
    code, _, *further = text.split()
    return Ended(int(code), refusal(child), "oom" in further)


def refusal(child: Child) -> Reason | None:
    text = _read(child.directory / "refused")
    if text is None:
        return None
    kind, _, what = text.rstrip("\n").partition(" ")
    if kind not in _REFUSALS:  # empty, see _identity
        return None
    zh, en = _REFUSALS[kind]
    return Reason(f"{zh}：{what}", f"{en}: {what}")


def _identity(path: Path) -> Identity | None:
    text = _read(path)
    with suppress(ValueError):  # a power cut may leave the file empty, and then nobody of whom it told lives
        return None if text is None else Identity.parse(text)
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None
