"""Files, de-identified chunk by chunk: the same bytes whatever the chunks and the number of processes."""

from __future__ import annotations

from contracts.deid import FileFormat
from services.runtime.deid.files.formats import format_of
from services.runtime.deid.files.pipeline import deidentify_file
from services.runtime.deid.files.tally import Report

__all__ = ["FileFormat", "Report", "deidentify_file", "format_of"]
