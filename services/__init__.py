"""What runs: decisions, their runtime, and the processes."""

import os
from pathlib import Path

VERSION = "0.1.0"

ROOT = Path(__file__).resolve().parent.parent
"""What is imported from here lies in it, in a checkout and where a wheel was installed, and so does DEPLOY."""

DEPLOY = ROOT / "deploy"


def python_path() -> str:
    """PYTHONPATH with which a child finds what is imported here, and what its user's own names."""
    known = os.environ.get("PYTHONPATH")
    return f"{ROOT}{os.pathsep}{known}" if known else str(ROOT)
