"""The list of all commands: who may send each, what it decides on, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

import msgspec

from contracts.command import Command
from contracts.datasets import (
    AbortUpload,
    AddDatasetFile,
    CreateDataset,
    DeleteDataset,
    DeleteDatasetTrainConfig,
    DeriveDatasetVersion,
    ExpireDatasetFiles,
    RecordDownload,
    ReportFileChecked,
    SetDatasetRetention,
    SetDatasetTrainConfig,
)
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
from contracts.leases import ReleaseLease, TakeLease
from contracts.nodes import DeclareNodeLost, ForgetNode, RegisterNode, node_id
from contracts.policies import DeletePolicy, UploadPolicy, policy_aggregate
from contracts.projects import ArchiveProject, CreateProject, ReviseProject, UnarchiveProject, project_id
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
from contracts.tokens import IssueToken, RevokeToken
from contracts.train_config import DeleteTrainConfig, UploadTrainConfig
from events import commands as command_facts
from events import datasets as dataset_facts
from events import deid as deid_facts
from events import deid_texts as deid_text_facts
from events import deployments as deployment_facts
from events import downloads as download_facts
from events import leases as lease_facts
from events import nodes as node_facts
from events import policies as policy_facts
from events import projects as project_facts
from events import runs as run_facts
from events import tokens as token_facts
from events import train_config as train_config_facts
from events.event import Event
from events.tokens import Role
from services.handlers import (
    datasets,
    deid,
    deid_texts,
    deployment_reports,
    deployments,
    leases,
    nodes,
    policies,
    projects,
    run_reports,
    runs,
    tokens,
    train_config,
)
from services.runtime import gather, gather_deid, gather_policies


class Aggregate(msgspec.Struct, frozen=True):
    """How the facts of a context fold: the state before any fact, and the step."""

    context: str
    initial: Any
    evolve: Callable[[Any, Any], Any]


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """`target` gives the aggregate's id; `role` is the least that may send it from outside, none for reports.

    `check` refuses what needs no state; `gather` looks up what `decide` needs beside the aggregate's own state.
    `presume_new`: the first attempt takes the aggregate for new without reading it, and the append finds out; only
    where nothing that is gathered could refuse a command which was accepted before and comes again.
    """

    aggregate: Aggregate
    target: Callable[[Any, UUID], UUID]
    decide: Callable[[Any, Any, Any], tuple[Event, ...]]
    role: Role | None = None
    check: Callable[[Any], None] | None = None
    gather: Callable[[Any, gather.Sources], Awaitable[Any]] | None = None
    presume_new: bool = False


PROJECTS = Aggregate(project_facts.ProjectFact.context, project_facts.Project(), project_facts.evolve)
RUNS = Aggregate(run_facts.RunFact.context, run_facts.Run(), run_facts.evolve)
TOKENS = Aggregate(token_facts.TokenFact.context, token_facts.Token(), token_facts.evolve)
NODES = Aggregate(node_facts.NodeFact.context, node_facts.Node(), node_facts.evolve)
DEPLOYMENTS = Aggregate(deployment_facts.DeploymentFact.context, deployment_facts.Deployment(), deployment_facts.evolve)
LEASES = Aggregate(lease_facts.LeaseFact.context, lease_facts.Leases(), lease_facts.evolve)
DATASETS = Aggregate(dataset_facts.DatasetFact.context, dataset_facts.Dataset(), dataset_facts.evolve)
TRAIN_CONFIGS = Aggregate(
    train_config_facts.TrainConfigFact.context, train_config_facts.TrainConfig(), train_config_facts.evolve
)
DOWNLOADS = Aggregate(download_facts.DatasetFileDownloaded.context, None, lambda state, _: state)
POLICIES = Aggregate(policy_facts.PolicyFact.context, policy_facts.Policy(), policy_facts.evolve)
DEID = Aggregate(deid_facts.DeidFact.context, deid_facts.DeidJob(), deid_facts.evolve)
DEID_TEXTS = Aggregate(deid_text_facts.DeidTextFact.context, deid_text_facts.DeidTexts(), deid_text_facts.evolve)

# Never changes: ids of new aggregates derive from their command's id, so a repeated command finds what it made.
_NEW_AGGREGATE = UUID("0c8b3d6e-3b0a-5c4f-8f43-6f1d8f0f2a11")


def new_aggregate(command_id: UUID) -> UUID:
    return uuid5(_NEW_AGGREGATE, str(command_id))


def _named_project(command: Any, _: UUID) -> UUID:
    return project_id(command.project)


def _run(command: Any, _: UUID) -> UUID:
    run_id: UUID = command.run_id
    return run_id


def _node(command: Any, _: UUID) -> UUID:
    return node_id(command.name)


def _deployment(command: Any, _: UUID) -> UUID:
    deployment_id: UUID = command.deployment_id
    return deployment_id


def _leases_of(command: Any, _: UUID) -> UUID:
    return node_id(command.node)


def _dataset(command: Any, _: UUID) -> UUID:
    dataset_id: UUID = command.dataset_id
    return dataset_id


def _train_config(_: Any, __: UUID) -> UUID:
    return train_config_facts.TRAIN_CONFIG


def _job(command: Any, _: UUID) -> UUID:
    job_id: UUID = command.job_id
    return job_id


def _policy(command: Any, _: UUID) -> UUID:
    return policy_aggregate(command.policy_id)


HANDLERS: dict[type[Command], Handler] = {
    CreateProject: Handler(
        aggregate=PROJECTS,
        target=lambda command, _: project_id(command.name),
        decide=projects.create_project,
        role="operator",
        check=projects.check_create,
        gather=gather.for_create_project,
        presume_new=True,
    ),
    ReviseProject: Handler(
        aggregate=PROJECTS,
        target=_named_project,
        decide=projects.revise_project,
        role="operator",
        check=projects.check_revise,
        gather=gather.for_revise_project,
    ),
    ArchiveProject: Handler(
        aggregate=PROJECTS, target=_named_project, decide=projects.archive_project, role="operator"
    ),
    UnarchiveProject: Handler(
        aggregate=PROJECTS, target=_named_project, decide=projects.unarchive_project, role="operator"
    ),
    StartRun: Handler(
        aggregate=RUNS,
        target=lambda _, command_id: new_aggregate(command_id),
        decide=runs.start_run,
        role="operator",
        gather=gather.for_start_run,
    ),
    ResumeRun: Handler(
        aggregate=RUNS,
        target=lambda _, command_id: new_aggregate(command_id),
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
    CreateDataset: Handler(
        aggregate=DATASETS,
        target=lambda _, command_id: new_aggregate(command_id),
        decide=datasets.create_dataset,
        role="operator",
        check=datasets.check_create,
        presume_new=True,
    ),
    AbortUpload: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.abort_upload, role="operator"),
    SetDatasetRetention: Handler(
        aggregate=DATASETS, target=_dataset, decide=datasets.set_dataset_retention, role="operator"
    ),
    DeleteDataset: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.delete_dataset, role="operator"),
    AddDatasetFile: Handler(
        aggregate=DATASETS, target=_dataset, decide=datasets.add_dataset_file, gather=gather.for_add_dataset_file
    ),
    SetDatasetTrainConfig: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.set_dataset_train_config),
    DeleteDatasetTrainConfig: Handler(
        aggregate=DATASETS, target=_dataset, decide=datasets.delete_dataset_train_config, role="operator"
    ),
    UploadTrainConfig: Handler(aggregate=TRAIN_CONFIGS, target=_train_config, decide=train_config.upload_train_config),
    DeleteTrainConfig: Handler(
        aggregate=TRAIN_CONFIGS, target=_train_config, decide=train_config.delete_train_config, role="operator"
    ),
    ReportFileChecked: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.report_file_checked),
    DeriveDatasetVersion: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.derive_dataset_version),
    ExpireDatasetFiles: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.expire_dataset_files),
    RecordDownload: Handler(
        aggregate=DOWNLOADS,
        target=lambda _, command_id: new_aggregate(command_id),
        decide=datasets.record_download,
        presume_new=True,
    ),
    RegisterNode: Handler(aggregate=NODES, target=_node, decide=nodes.register_node),
    DeclareNodeLost: Handler(aggregate=NODES, target=_node, decide=nodes.declare_node_lost),
    ForgetNode: Handler(aggregate=NODES, target=_node, decide=nodes.forget_node, role="admin"),
    CreateDeployment: Handler(
        aggregate=DEPLOYMENTS,
        target=lambda _, command_id: new_aggregate(command_id),
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
    TakeLease: Handler(aggregate=LEASES, target=_leases_of, decide=leases.take_lease),
    ReleaseLease: Handler(aggregate=LEASES, target=_leases_of, decide=leases.release_lease),
    UploadPolicy: Handler(
        aggregate=POLICIES,
        target=_policy,
        decide=policies.upload_policy,
        role="operator",
        gather=gather_policies.for_upload_policy,
    ),
    DeletePolicy: Handler(
        aggregate=POLICIES,
        target=_policy,
        decide=policies.delete_policy,
        role="operator",
        gather=gather_policies.for_delete_policy,
    ),
    DeidentifyDataset: Handler(
        aggregate=DEID,
        target=lambda _, command_id: new_aggregate(command_id),
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
        target=lambda _, command_id: new_aggregate(command_id),
        decide=deid_texts.record_texts_deidentified,
        presume_new=True,
    ),
    RecordTextsReversed: Handler(
        aggregate=DEID_TEXTS,
        target=lambda _, command_id: new_aggregate(command_id),
        decide=deid_texts.record_texts_reversed,
        presume_new=True,
    ),
    IssueToken: Handler(
        aggregate=TOKENS,
        target=lambda _, command_id: new_aggregate(command_id),
        decide=tokens.issue_token,
        role="admin",
        check=tokens.check_issue,
        gather=gather.for_issue_token,
    ),
    RevokeToken: Handler(
        aggregate=TOKENS, target=lambda command, _: command.token_id, decide=tokens.revoke_token, role="admin"
    ),
}

REFUSALS = command_facts.CommandRefused.context

# Commands that come from outside, by the last two tokens of their subject: (context, wire name).
PUBLIC: dict[tuple[str, str], type[Command]] = {
    (handler.aggregate.context, command.__name__): command
    for command, handler in HANDLERS.items()
    if handler.role is not None
}
