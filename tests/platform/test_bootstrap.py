"""`deploy/bootstrap.sh` on machines that lack something. Python is a stand-in that makes stubs instead of downloads."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("cat", "chmod", "cksum", "dirname", "flock", "grep", "mkdir", "mv", "rm", "sh", "tail", "tr")
# Answers what the script asks a Python; `environment` holds what the machine lacks.
STAND_IN = """#!/bin/sh
case "$*" in
  "-m venv --without-pip"*) [ "$VENV_FAILS" ] && exit 1
    for dir in "$@"; do :; done; mkdir -p "$dir/bin"; : > "$dir/pyvenv.cfg"
    rm -f "$dir/trainledger-installed"; cp "$0" "$dir/bin/python"; touch "$dir/without-pip" ;;
  *"import ensurepip") [ ! "$NO_ENSUREPIP" ] ;;
  "-m venv"*) [ "$VENV_FAILS" ] && {{ printf 'of no\ninterest\nthe disk is full\n'; exit 1; }}
    [ "$NO_ENSUREPIP" ] && {{ echo ensurepip is not available; exit 1; }}
    mkdir -p "$3/bin"; : > "$3/pyvenv.cfg"; cp "$0" "$3/bin/python" ;;
  "-m pip --version"*) [ ! -e "$(dirname "$0")/../without-pip" ] && [ ! "$NO_PIP" ] ;;
  "-m pip --python "*"--version") [ ! "$NO_PIP" ] ;;
  "-m pip "*) echo "$*" >> "$LOG"; exit "${{PIP_EXIT:-0}}" ;;
  "-m compileall "*) ;;
  *sysconfig*) site=$(dirname "$0")/../lib/python3/site-packages; mkdir -p "$site"; echo "$site" ;;
  *) exec {python} "$@" ;;
esac
"""


class Machine:
    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "我的 checkout"
        self.path = directory / "bin"
        self.log = directory / "pip.log"
        (self.checkout / "deploy").mkdir(parents=True)
        self.path.mkdir()
        for name in ("deploy/bootstrap.sh", "requirements.lock", "requirements-dev.lock"):
            shutil.copy(ROOT / name, self.checkout / name)
        for tool in (*TOOLS, "cp", "touch"):
            found = shutil.which(tool)
            assert found is not None, tool
            (self.path / tool).symlink_to(found)

    def add_python(self, name: str) -> None:
        program = self.path / name
        program.write_text(STAND_IN.format(python=sys.executable))
        program.chmod(0o755)

    def bootstrap(
        self, *arguments: str, user: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "deploy/bootstrap.sh", *arguments],
            cwd=self.checkout,
            env=self.environment() | environment,
            capture_output=True,
            text=True,
            timeout=120,
            user=user,
        )

    def environment(self) -> dict[str, str]:
        return {
            "NO_ENSUREPIP": "",
            "VENV_FAILS": "",
            "NO_PIP": "",
            "LOG": str(self.log),
            "PATH": str(self.path),
            "LC_ALL": "C",
        }

    @property
    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.add_python("python3")
    return made


def test_installs_once_by_hash_from_the_users_own_index(machine: Machine) -> None:
    assert machine.bootstrap().returncode == 0
    assert machine.bootstrap().stderr == ""
    (install,) = machine.installs
    assert "--require-hashes --only-binary :all: -r requirements.lock" in install
    assert "index" not in install
    program = machine.checkout / ".venv" / "bin" / "trainledger"
    assert os.access(program, os.X_OK)


def test_a_checkout_of_any_name_is_found_in_any_locale(machine: Machine) -> None:
    machine.bootstrap()
    (found,) = machine.checkout.glob(".venv/lib/*/site-packages/trainledger.pth")
    text = found.read_text(encoding="utf-8")
    assert text.isascii()
    assert (found.parent / text.strip()).resolve() == machine.checkout.resolve()


def test_tests_need_more_and_running_does_not(machine: Machine) -> None:
    assert machine.bootstrap("dev").returncode == 0
    assert "-r requirements-dev.lock" in machine.installs[0]
    assert machine.bootstrap().returncode == 0
    assert len(machine.installs) == 1


def test_whoever_waits_for_another_says_so(machine: Machine) -> None:
    script = machine.checkout / "deploy" / "bootstrap.sh"
    with script.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with subprocess.Popen(
            ["sh", script], cwd=machine.checkout, env=machine.environment(), stderr=subprocess.PIPE, text=True
        ) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline().startswith("Waiting for another make")
            assert not machine.installs
            fcntl.flock(other, fcntl.LOCK_UN)
            waiting.stderr.read()
    assert waiting.returncode == 0
    assert len(machine.installs) == 1


def test_installs_again_when_the_lock_changed(machine: Machine) -> None:
    machine.bootstrap()
    with (machine.checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    (machine.checkout / ".venv" / "mine").touch()
    assert machine.bootstrap().returncode == 0
    assert len(machine.installs) == 2
    assert (machine.checkout / ".venv" / "mine").exists()


def test_an_interrupted_install_is_not_believed(machine: Machine) -> None:
    assert machine.bootstrap(PIP_EXIT="1").returncode == 1
    (machine.checkout / ".venv" / "half").touch()
    assert machine.bootstrap().returncode == 0
    assert not (machine.checkout / ".venv" / "half").exists()


def test_an_interrupted_install_for_tests_keeps_what_serves(machine: Machine) -> None:
    machine.bootstrap()
    (machine.checkout / ".venv" / "in-use").touch()
    assert machine.bootstrap("dev", PIP_EXIT="1").returncode == 1
    assert machine.bootstrap().returncode == 0
    assert len(machine.installs) == 2
    assert (machine.checkout / ".venv" / "in-use").exists()


def test_a_moved_checkout_gets_an_environment_of_its_own(machine: Machine, tmp_path: Path) -> None:
    machine.bootstrap()
    machine.checkout = machine.checkout.rename(tmp_path / "moved")
    assert machine.bootstrap().returncode == 0
    assert len(machine.installs) == 2


def test_without_ensurepip_a_pip_outside_fills_the_environment(machine: Machine) -> None:
    assert machine.bootstrap(NO_ENSUREPIP="1").returncode == 0
    assert machine.installs[0].startswith(f"-m pip --python {machine.checkout}/.venv/bin/python install ")


def test_without_venv_and_pip_one_line_helps(machine: Machine) -> None:
    helped = machine.bootstrap(NO_ENSUREPIP="1", NO_PIP="1")
    assert helped.returncode == 1
    assert "-venv" in helped.stderr.splitlines()[-1]
    assert "apt-get install python3" in helped.stderr.splitlines()[-1]
    assert not (machine.checkout / ".venv").exists()


def test_another_reason_why_there_is_no_environment_is_told(machine: Machine) -> None:
    helped = machine.bootstrap(VENV_FAILS="1")
    assert helped.returncode == 1
    assert helped.stderr.splitlines()[-1] == "the disk is full"
    assert "apt-get" not in helped.stderr
    assert not (machine.checkout / ".venv").exists()


def test_a_checkout_whose_name_the_locale_cannot_spell_gets_its_environment(machine: Machine) -> None:
    """By this Python itself, with nothing of a stand-in."""
    (machine.path / "python3").unlink()
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (machine.checkout / lock).write_text("")
    (machine.path / "python3").symlink_to(sys.executable)
    for package in ("contracts", "events", "projections", "services"):
        (machine.checkout / package).mkdir()
    made = machine.bootstrap(PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="POSIX")
    assert made.returncode == 0, made.stderr
    assert (machine.checkout / ".venv" / "bin" / "trainledger").exists()


def test_without_a_python_that_fits_one_line_helps(machine: Machine) -> None:
    (machine.path / "python3").unlink()
    helped = machine.bootstrap()
    assert helped.returncode == 1
    assert helped.stderr.count("\n") == 1
    assert "3.11, 3.12 or 3.13" in helped.stderr


def test_where_the_checkout_cannot_be_written_to_one_line_helps() -> None:
    with tempfile.TemporaryDirectory() as directory:  # which others may enter, as pytest's own they may not
        Path(directory).chmod(0o755)
        machine = Machine(Path(directory))
        machine.add_python("python3")
        machine.checkout.chmod(0o555)
        helped = machine.bootstrap(user="nobody" if os.getuid() == 0 else None)
        machine.checkout.chmod(0o755)
    assert helped.returncode == 1
    assert helped.stderr.count("\n") == 1
    assert f"{machine.checkout} cannot be written to" in helped.stderr


def test_the_user_may_name_the_python(machine: Machine) -> None:
    machine.add_python("other-python")
    assert "other-python" in machine.bootstrap(PYTHON="other-python").stderr
    machine.add_python("my python")
    shutil.rmtree(machine.checkout / ".venv")
    assert "my python" in machine.bootstrap(PYTHON=str(machine.path / "my python")).stderr
    refused = machine.bootstrap(PYTHON="none-such")
    assert refused.returncode == 1
    assert "PYTHON=none-such" in refused.stderr


def test_an_environment_of_somebody_else_is_left_alone(machine: Machine) -> None:
    foreign = machine.checkout / ".venv"
    foreign.mkdir()
    (foreign / "pyvenv.cfg").touch()
    refused = machine.bootstrap()
    assert refused.returncode == 1
    assert "something else made" in refused.stderr
    assert (foreign / "pyvenv.cfg").exists()
