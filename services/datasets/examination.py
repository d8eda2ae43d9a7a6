"""One file from its upload to the verdict on record."""

from __future__ import annotations

from uuid import UUID, uuid5

from contracts.datasets import ReportFileChecked
from events.datasets import BadLine, Dataset, DatasetFile, DatasetFileAdded, DatasetVersionDerived, FoundField
from events.event import Origin, Recorded
from events.log import EventLog
from services.datasets.checker import Checker
from services.datasets.checking.findings import Verdict
from services.runtime.commands import DATASETS
from services.runtime.dispatch import Dispatch, load
from services.runtime.storage import Storage

ACTOR = "service:datasets"


class Examination:
    """Looks into a file and reports; under the same command id whoever does it, so that one verdict counts."""

    def __init__(self, log: EventLog, dispatch: Dispatch, storage: Storage, checker: Checker) -> None:
        self._log = log
        self._dispatch = dispatch
        self._storage = storage
        self._checker = checker

    async def __call__(self, dataset_id: UUID, upload_id: UUID) -> None:
        """Returns once a verdict is on record, or the file is gone. Raises FileUnreadable, Unsafe, LogUnavailable."""
        loaded = await load(self._log, DATASETS, dataset_id)
        dataset: Dataset = loaded.state
        file = dataset.file(upload_id)
        if not dataset.exists or file is None or upload_id in dataset.checked:
            return
        verdict = await self._checker(self._storage.path(file.stored_name), file.name, file.sha256)
        added = next(entry for entry in loaded.recorded if file in _files_of(entry))
        origin = Origin(
            actor=ACTOR,
            command_id=uuid5(upload_id, "checked"),
            correlation_id=added.meta.origin.correlation_id or str(added.meta.origin.command_id),
            causation_id=str(added.meta.id),
            traceparent=added.meta.origin.traceparent,
        )
        await self._dispatch(report(dataset_id, upload_id, verdict), origin)


def report(dataset_id: UUID, upload_id: UUID, verdict: Verdict) -> ReportFileChecked:
    return ReportFileChecked(
        dataset_id=dataset_id,
        upload_id=upload_id,
        verdict=verdict.verdict,
        format=verdict.format,
        records=verdict.records,
        fields=tuple(field.name for field in verdict.fields),
        training_format=verdict.training_format,
        problems=tuple(BadLine(line=problem.line, reason=problem.code) for problem in verdict.problems),
        reason=verdict.reason,
        bad_records=verdict.bad_records,
        schema=tuple(FoundField(name=f.name, types=f.types, present=f.present) for f in verdict.fields),
        schema_complete=verdict.fields_complete,
    )


def _files_of(entry: Recorded) -> tuple[DatasetFile, ...]:
    match entry.fact:
        case DatasetFileAdded(file=file):
            return (file,)
        case DatasetVersionDerived(files=files):
            return files
        case _:
            return ()
