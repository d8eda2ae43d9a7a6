"""Commands on deployments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.deployments import (
    CreateDeployment,
    PlaceDeployment,
    RemoveDeployment,
    ReportDeploymentEnded,
    ReportDeploymentLaunched,
    ReportDeploymentLost,
    ReportDeploymentStarted,
    ReportDeploymentStopped,
    ReportDeploymentStopUnconfirmed,
    ReportDeploymentUnplaced,
    RestartDeployment,
)
from events import deployments as deployment_facts
from services.handlers import deployment_reports, deployments
from services.runtime.commands.handler import Aggregate, Handler, new
from services.runtime.gathering import sources as gather

DEPLOYMENTS = Aggregate(deployment_facts.DeploymentFact.context, deployment_facts.Deployment(), deployment_facts.evolve)


def _deployment(command: Any, _: UUID) -> UUID:
    deployment_id: UUID = command.deployment_id
    return deployment_id


HANDLERS: dict[type[Command], Handler] = {
    CreateDeployment: Handler(
        aggregate=DEPLOYMENTS,
        target=new,
        decide=deployments.create_deployment,
        role="operator",
        check=deployments.check_create,
        gather=gather.for_create_deployment,
    ),
    RemoveDeployment: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployments.remove_deployment, role="operator"
    ),
    RestartDeployment: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployments.restart_deployment, role="operator"
    ),
    PlaceDeployment: Handler(aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.place_deployment),
    ReportDeploymentUnplaced: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_unplaced
    ),
    ReportDeploymentLaunched: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_launched
    ),
    ReportDeploymentStarted: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_started
    ),
    ReportDeploymentEnded: Handler(aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_ended),
    ReportDeploymentStopUnconfirmed: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_stop_unconfirmed
    ),
    ReportDeploymentStopped: Handler(
        aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_stopped
    ),
    ReportDeploymentLost: Handler(aggregate=DEPLOYMENTS, target=_deployment, decide=deployment_reports.report_lost),
}
