"""Environment variables that look like settings and are none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from services.runtime.settings import ENVIRONMENT_NAMES

_PREFIX = "TRAINLEDGER_"
_SETTINGS = [name.removeprefix(_PREFIX) for name in ENVIRONMENT_NAMES.values() if name.startswith(_PREFIX)]
_KNOWN = {
    *ENVIRONMENT_NAMES.values(),
    "TRAINLEDGER_CONFIG",
    # What trainings and deployments are told, one of which may start this.
    *("TRAINLEDGER_RUN", "TRAINLEDGER_DEPLOYMENT", "TRAINLEDGER_CONFIG_FILE", "TRAINLEDGER_DATASET_FILE"),
    "TRAINLEDGER_PYTHON",
    # What the tests are told.
    *("TRAINLEDGER_CHAOS", "TRAINLEDGER_REQUIRE_ALL"),
}


def unknown_settings(names: Iterable[str]) -> list[str]:
    """A sentence for each variable that is most likely a misspelt setting."""
    sentences = []
    for name in sorted(names):
        if name.startswith(_PREFIX) and name not in _KNOWN:
            close = difflib.get_close_matches(name.removeprefix(_PREFIX), _SETTINGS, n=1)
            meant = f"; is {_PREFIX}{close[0]} meant?" if close else "."
            sentences.append(f"The environment variable {name} is no setting and is ignored{meant}")
    return sentences
