"""Commands that a message tells the user to run."""

from __future__ import annotations

import shlex
from pathlib import Path

from services.runtime.settings import SettingRefused, Settings


def told_command(words: str, data_dir: Path) -> str:
    """`trainledger <words>`, to be typed as it stands: it names the data directory, except the default one."""
    is_default = data_dir == Settings().data_dir.absolute()
    return f"`trainledger {words}{'' if is_default else f' --data-dir {shlex.quote(str(data_dir))}'}`"


def no_token_yet(settings: Settings) -> SettingRefused:
    """Why nothing is served on an address that others can reach."""
    return SettingRefused(
        f"TRAINLEDGER_HOST is {settings.host}, which others can reach, and there is no access token yet: "
        f"make one with {told_command('token add NAME --role admin', settings.data_dir)}, or serve on 127.0.0.1."
    )
