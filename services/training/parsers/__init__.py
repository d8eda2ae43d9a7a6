"""What training prints, understood: pure functions from raw bytes to telemetry."""

from services.training.parsers.output import (
    LINE_LIMIT,
    OutputParser,
    Parsed,
    Seen,
    advanced,
    read_trainer_log,
    training_progress,
)

__all__ = ["LINE_LIMIT", "OutputParser", "Parsed", "Seen", "advanced", "read_trainer_log", "training_progress"]
