from __future__ import annotations

from typing import Any

import pytest

from services.runtime.deid.files import processes


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What another process, which is ready, is given to work on."""
    beside = processes.helpers(1)
    beside.wait()
    pieces: list[Any] = []
    hand = beside.hand

    def handing(*piece: Any) -> Any:
        pieces.append(piece)
        return hand(*piece)

    monkeypatch.setattr(beside, "hand", handing)
    return pieces
