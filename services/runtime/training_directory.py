"""Where this machine trains, and the example that it trains in where there is nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from services import DEPLOY
from services.runtime.durable_files import sync_directory
from services.runtime.settings import SettingRefused, Settings
from services.runtime.settings.training import DOCUMENTED_TRAINING_DIR


def training_directory(settings: Settings) -> Path:
    """Absolute: what is set, else the documented one, else a copy of the example, which is made once.

    Raises SettingRefused where it is none.
    """
    directory = settings.host_training_dir
    if directory is None:
        directory = DOCUMENTED_TRAINING_DIR if DOCUMENTED_TRAINING_DIR.is_dir() else _example(settings.data_dir)
    if not directory.is_dir():
        raise SettingRefused(f"The training directory {directory} (HOST_TRAINING_DIR) is not a directory.")
    return directory.absolute()


def _example(data_dir: Path) -> Path:
    copy = data_dir / "training"
    if not copy.exists():  # once there it is the user's, whatever became of it
        new = data_dir / ".training.new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(DEPLOY / "example", new, ignore=shutil.ignore_patterns("__pycache__"))
        new.replace(copy)
        sync_directory(data_dir)
    return copy
