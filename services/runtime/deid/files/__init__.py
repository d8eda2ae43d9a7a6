"""Files, de-identified chunk by chunk: the same bytes whatever the chunks and the number of processes."""

from __future__ import annotations

from services.runtime.deid.files.formats import FileFormat, format_of
from services.runtime.deid.files.pipeline import Report, deidentify_file

__all__ = ["FileFormat", "Report", "deidentify_file", "format_of"]
