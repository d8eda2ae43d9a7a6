"""What runs: decisions, their runtime, and the processes."""

VERSION = "0.1.0"
