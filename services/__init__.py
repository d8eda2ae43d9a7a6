"""What runs: decisions, their runtime, and the processes."""

from pathlib import Path

VERSION = "0.1.0"

ROOT = Path(__file__).resolve().parent.parent
"""What is imported from here lies in it, in a checkout and where a wheel was installed, and so does DEPLOY."""

DEPLOY = ROOT / "deploy"
