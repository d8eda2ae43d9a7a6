"""Commands on de-identification jobs, and what puts the use of texts on record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.deid import (
    AssignDeidentification,
    CancelDeidentification,
    DeidentifyDataset,
    ReportDeidentificationCanceled,
    ReportDeidentificationFailed,
    ReportDeidentificationLost,
    ReportDeidentified,
)
from contracts.deid_texts import RecordTextsDeidentified, RecordTextsReversed
from events import deid as deid_facts
from events import deid_texts as deid_text_facts
from services.handlers import deid, deid_texts
from services.runtime.commands.handler import Aggregate, Handler, new
from services.runtime.gathering import deid as gather_deid

DEID = Aggregate(deid_facts.DeidFact.context, deid_facts.DeidJob(), deid_facts.evolve)
DEID_TEXTS = Aggregate(deid_text_facts.DeidTextFact.context, deid_text_facts.DeidTexts(), deid_text_facts.evolve)


def _job(command: Any, _: UUID) -> UUID:
    job_id: UUID = command.job_id
    return job_id


HANDLERS: dict[type[Command], Handler] = {
    DeidentifyDataset: Handler(
        aggregate=DEID,
        target=new,
        decide=deid.deidentify_dataset,
        role="operator",
        gather=gather_deid.for_deidentify_dataset,
    ),
    CancelDeidentification: Handler(aggregate=DEID, target=_job, decide=deid.cancel_deidentification, role="operator"),
    AssignDeidentification: Handler(aggregate=DEID, target=_job, decide=deid.assign_deidentification),
    ReportDeidentified: Handler(aggregate=DEID, target=_job, decide=deid.report_deidentified),
    ReportDeidentificationFailed: Handler(aggregate=DEID, target=_job, decide=deid.report_deidentification_failed),
    ReportDeidentificationCanceled: Handler(aggregate=DEID, target=_job, decide=deid.report_deidentification_canceled),
    ReportDeidentificationLost: Handler(aggregate=DEID, target=_job, decide=deid.report_deidentification_lost),
    RecordTextsDeidentified: Handler(
        aggregate=DEID_TEXTS,
        target=new,
        decide=deid_texts.record_texts_deidentified,
        presume_new=True,
    ),
    RecordTextsReversed: Handler(
        aggregate=DEID_TEXTS,
        target=new,
        decide=deid_texts.record_texts_reversed,
        presume_new=True,
    ),
}
