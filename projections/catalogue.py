"""Which handler folds which fact: the whole list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from events.commands import CommandRefused
from events.datasets import (
    DatasetCreated,
    DatasetDeleted,
    DatasetFileAdded,
    DatasetFileChecked,
    DatasetFileRemoved,
    DatasetFilesExpired,
    DatasetRetentionSet,
    DatasetTrainConfigSet,
    DatasetVersionDerived,
)
from events.deid import (
    DeidentificationAssigned,
    DeidentificationCanceled,
    DeidentificationCancelRequested,
    DeidentificationCompleted,
    DeidentificationFailed,
    DeidentificationRequested,
)
from events.deid_texts import TextsDeidentified, TextsReversed
from events.deployments import (
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentPlaced,
    DeploymentRemoved,
    DeploymentRequested,
    DeploymentRestartRequested,
    DeploymentStarted,
    DeploymentStopped,
    DeploymentStopRequested,
    DeploymentStopUnconfirmed,
)
from events.downloads import DatasetFileDownloaded
from events.event import Event
from events.leases import LeaseReleased, LeaseTaken
from events.nodes import NodeForgotten, NodeLost, NodeRegistered
from events.policies import PolicyDeleted, PolicyUploaded
from events.projects import ProjectArchived, ProjectCreated, ProjectRevised, ProjectUnarchived
from events.runs import (
    RunArtifactRecorded,
    RunArtifactTagged,
    RunArtifactUntagged,
    RunAssigned,
    RunAttemptFailed,
    RunCanceled,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunQueued,
    RunRequested,
    RunStarted,
    RunStopUnconfirmed,
)
from events.tokens import TokenIssued, TokenRevoked
from events.train_config import TrainConfigDeleted, TrainConfigUploaded, version_id
from projections import datasets, deid, deployments, nodes, policies, projects, runs, tables, train_config
from projections.rows import Rows

Handler = Callable[[Rows, Any], None]

HANDLERS: dict[type[Event], Handler] = {
    ProjectCreated: projects.on_project_created,
    ProjectRevised: projects.on_project_revised,
    ProjectArchived: projects.on_project_archived,
    ProjectUnarchived: projects.on_project_unarchived,
    RunRequested: runs.on_run_requested,
    RunQueued: runs.on_run_queued,
    RunAssigned: runs.on_run_assigned,
    RunAttemptFailed: runs.on_run_attempt_failed,
    RunStopUnconfirmed: runs.on_run_stop_unconfirmed,
    RunStarted: runs.on_run_started,
    RunLaunchFailed: runs.on_run_launch_failed,
    RunCancelRequested: runs.on_run_cancel_requested,
    RunArtifactRecorded: runs.on_run_artifact_recorded,
    RunArtifactTagged: runs.on_run_artifact_tagged,
    RunArtifactUntagged: runs.on_run_artifact_untagged,
    RunCompleted: runs.on_run_completed,
    RunFailed: runs.on_run_failed,
    RunCanceled: runs.on_run_canceled,
    DatasetCreated: datasets.on_dataset_created,
    DatasetFileAdded: datasets.on_dataset_file_added,
    DatasetFileRemoved: datasets.on_dataset_file_removed,
    DatasetFilesExpired: datasets.on_dataset_files_expired,
    DatasetFileChecked: datasets.on_dataset_file_checked,
    DatasetVersionDerived: datasets.on_dataset_version_derived,
    DatasetRetentionSet: datasets.on_dataset_retention_set,
    DatasetTrainConfigSet: datasets.on_dataset_train_config_set,
    DatasetDeleted: datasets.on_dataset_deleted,
    DatasetFileDownloaded: datasets.on_dataset_file_downloaded,
    TrainConfigUploaded: train_config.on_train_config_uploaded,
    TrainConfigDeleted: train_config.on_train_config_deleted,
    NodeRegistered: nodes.on_node_registered,
    NodeLost: nodes.on_node_lost,
    NodeForgotten: nodes.on_node_forgotten,
    DeploymentRequested: deployments.on_deployment_requested,
    DeploymentPlaced: deployments.on_deployment_placed,
    DeploymentLaunched: deployments.on_deployment_launched,
    DeploymentStarted: deployments.on_deployment_started,
    DeploymentAttemptEnded: deployments.on_deployment_attempt_ended,
    DeploymentRestartRequested: deployments.on_deployment_restart_requested,
    DeploymentStopRequested: deployments.on_deployment_stop_requested,
    DeploymentStopUnconfirmed: deployments.on_deployment_stop_unconfirmed,
    DeploymentStopped: deployments.on_deployment_stopped,
    DeploymentFailed: deployments.on_deployment_failed,
    DeploymentRemoved: deployments.on_deployment_removed,
    PolicyUploaded: policies.on_policy_uploaded,
    PolicyDeleted: policies.on_policy_deleted,
    DeidentificationRequested: deid.on_deidentification_requested,
    DeidentificationAssigned: deid.on_deidentification_assigned,
    DeidentificationCancelRequested: deid.on_deidentification_cancel_requested,
    DeidentificationCompleted: deid.on_deidentification_completed,
    DeidentificationFailed: deid.on_deidentification_failed,
    DeidentificationCanceled: deid.on_deidentification_canceled,
}

# Facts that change no table, and why.
NOT_PROJECTED: dict[type[Event], str] = {
    TokenIssued: "the edge follows token facts itself, so that digests stay out of the database",
    TokenRevoked: "the edge follows token facts itself, so that digests stay out of the database",
    LeaseTaken: "each node is asked for what is taken of it",
    LeaseReleased: "each node is asked for what is taken of it",
    TextsDeidentified: "read from the log by audits; nothing asks for it in SQL",
    TextsReversed: "read from the log by audits; nothing asks for it in SQL",
    CommandRefused: "read from the log by audits; nothing asks for it in SQL yet",
}

# The table whose row of the aggregate's id its handlers change.
MAIN_TABLES: dict[str, Table] = {
    "projects": tables.projects,
    "runs": tables.runs,
    "datasets": tables.datasets,
    "nodes": tables.nodes,
    "deployments": tables.deployments,
    "policies": tables.policies,
    "deid": tables.deid_jobs,
}

# The other rows that a fact's handler changes: their table, and the ids of its rows.
OTHER_ROWS: dict[type[Event], tuple[Table, Callable[[Any], Iterable[UUID]]]] = {
    RunArtifactTagged: (tables.artifacts, lambda fact: (fact.artifact_id,)),
    RunArtifactUntagged: (tables.artifacts, lambda fact: (fact.artifact_id,)),
    DatasetFileRemoved: (tables.dataset_files, lambda fact: (fact.upload_id,)),
    DatasetFilesExpired: (tables.dataset_files, lambda fact: fact.upload_ids),
    DatasetFileChecked: (tables.dataset_files, lambda fact: (fact.upload_id,)),
    TrainConfigDeleted: (tables.train_configs, lambda fact: (version_id(fact.version),)),
    PolicyUploaded: (tables.policy_versions, lambda fact: (policies.version_row(fact),)),
}
