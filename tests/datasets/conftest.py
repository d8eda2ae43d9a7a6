from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.serving import Serving


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Not started yet; whatever it left is killed at the end."""
    service = Serving(tmp_path)
    yield service
    service.end_everything()
