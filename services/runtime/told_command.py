"""Commands that a message tells the user to run."""

from __future__ import annotations

import shlex
from pathlib import Path

from services.runtime.settings import Settings


def told_command(words: str, data_dir: Path) -> str:
    """`trainledger <words>`, to be typed as it stands: it names the data directory, except the default one."""
    is_default = data_dir == Settings().data_dir.absolute()
    return f"`trainledger {words}{'' if is_default else f' --data-dir {shlex.quote(str(data_dir))}'}`"
