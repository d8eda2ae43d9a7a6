"""What a parent and its children agree on: how settings are handed over, what exit codes mean, where data lies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from services.runtime.settings import SettingRefused, Settings

EX_CONFIG = 78  # sysexits.h: no use to try again with these settings
EX_UNAVAILABLE = 69  # something that is needed does not answer now


def stop_signals() -> tuple[signal.Signals, ...]:
    """What ends a process in order. Not a hang-up that whoever started it had it ignore, as nohup does."""
    hang_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, *hang_up)


def encode(settings: Settings) -> bytes:
    return msgspec.json.encode(settings, enc_hook=str) + b"\n"


def decode(line: bytes) -> Settings:
    return msgspec.json.decode(line, type=Settings, dec_hook=lambda kind, value: kind(value))


def ensure_directories(settings: Settings) -> None:
    """Makes the data directory, for nobody else to look into. Raises SettingRefused."""
    make_directory(settings.data_dir, "TRAINLEDGER_DATA_DIR", mode=0o700)


def make_directory(path: Path, setting: str, mode: int = 0o777) -> None:
    """One that is there keeps its mode. Raises SettingRefused."""
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise SettingRefused(f"{setting} names {path}, which is not a directory.") from error
    except OSError as error:
        raise SettingRefused(f"{setting} names {path}, which cannot be made: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingRefused(f"{setting} names {path}, which cannot be written to.")
