"""Commands on runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.runs import (
    AssignRun,
    CancelRun,
    RecordArtifact,
    ReportAttemptFailed,
    ReportLaunchFailed,
    ReportRunEnded,
    ReportRunLost,
    ReportRunQueued,
    ReportRunStarted,
    ReportStopUnconfirmed,
    ResumeRun,
    StartRun,
    TagArtifact,
    UntagArtifact,
)
from events import runs as run_facts
from services.handlers import run_reports, runs
from services.runtime.commands.handler import Aggregate, Handler, new
from services.runtime.gathering import sources as gather

RUNS = Aggregate(run_facts.RunFact.context, run_facts.Run(), run_facts.evolve)


def _run(command: Any, _: UUID) -> UUID:
    run_id: UUID = command.run_id
    return run_id


HANDLERS: dict[type[Command], Handler] = {
    StartRun: Handler(
        aggregate=RUNS,
        target=new,
        decide=runs.start_run,
        role="operator",
        gather=gather.for_start_run,
    ),
    ResumeRun: Handler(
        aggregate=RUNS,
        target=new,
        decide=runs.resume_run,
        role="operator",
        gather=gather.for_resume_run,
    ),
    CancelRun: Handler(aggregate=RUNS, target=_run, decide=runs.cancel_run, role="operator"),
    TagArtifact: Handler(aggregate=RUNS, target=_run, decide=runs.tag_artifact, role="operator", check=runs.check_tag),
    UntagArtifact: Handler(
        aggregate=RUNS, target=_run, decide=runs.untag_artifact, role="operator", check=runs.check_tag
    ),
    ReportRunQueued: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_run_queued),
    AssignRun: Handler(aggregate=RUNS, target=_run, decide=run_reports.assign_run),
    ReportRunStarted: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_run_started),
    ReportAttemptFailed: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_attempt_failed),
    ReportStopUnconfirmed: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_stop_unconfirmed),
    ReportLaunchFailed: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_launch_failed),
    RecordArtifact: Handler(aggregate=RUNS, target=_run, decide=run_reports.record_artifact),
    ReportRunEnded: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_run_ended),
    ReportRunLost: Handler(aggregate=RUNS, target=_run, decide=run_reports.report_run_lost),
}
