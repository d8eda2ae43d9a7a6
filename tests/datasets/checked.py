"""Checks of bytes, as if they had been uploaded under a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.datasets.checking.check import check_file
from services.datasets.checking.findings import Verdict
from services.datasets.checking.limits import Limits


def checked(directory: Path, name: str, content: bytes | str, **limits: int) -> Verdict:
    file = directory / "file"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return check_file(file, name, Limits(**limits))


def jsonl(*records: Any) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
