"""Decisions on runs."""

from __future__ import annotations

import shlex

import msgspec

from contracts.problems import InvalidBody, Refused, Wrong
from contracts.projects import project_id
from contracts.runs import (
    AssetReport,
    CancelRun,
    ResumeRun,
    StartRun,
    TagArtifact,
    UntagArtifact,
)
from events.projects import Project
from events.runs import (
    Run,
    RunArtifactRecorded,
    RunArtifactTagged,
    RunArtifactUntagged,
    RunCanceled,
    RunCancelRequested,
    RunRequested,
    StoredConfig,
    StoredDataset,
)
from services.handlers.texts import wrong_with_ends, wrong_with_text

_MOST_TAGS = 100


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What of the names of a project, or of the inputs of a run, was uploaded; `missing` are the names of what is not,
    or no longer, there."""

    dataset: StoredDataset | None = None
    config: StoredConfig | None = None
    missing: tuple[str, ...] = ()


class StartGathered(msgspec.Struct, frozen=True, kw_only=True):
    """`assets` is none where the project cannot run anyway. `stored` is what of its names was
    uploaded, and `assets` knows of the rest only. The rest are settings."""

    project: Project
    assets: AssetReport | None
    command_template: str
    own_command_setting: str | None
    max_wall_seconds: float | None = None
    stored: Stored = Stored()


def start_run(_: Run, command: StartRun, gathered: StartGathered) -> tuple[RunRequested, ...]:
    """`own_command_setting` names the setting that would allow a caller's own command, none where it is on."""
    project, assets = gathered.project, gathered.assets
    _require_open(project, command.project)
    stored = gathered.stored
    _require_deidentified(project, stored.dataset)
    own = command.start_command is not None
    if own and gathered.own_command_setting is not None:
        raise Refused("start_command_not_allowed", setting=gathered.own_command_setting)
    if assets is None:
        raise Refused("no_training_node")
    _require_assets(assets, stored)
    dataset, config = stored.dataset, stored.config
    return (
        RunRequested(
            project_id=project_id(command.project),
            node=assets.node,
            dataset=project.dataset_name if dataset is None else dataset.name,
            training_yaml=project.training_yaml_name if config is None else config.name,
            argv=(
                fill_command(
                    gathered.command_template,
                    project.training_yaml_name if config is None else config.path,
                    project.dataset_name if dataset is None else dataset.path,
                )
                if command.start_command is None
                else _own_command(command.start_command)
            ),
            own_command=own,
            max_wall_seconds=_wall(command, gathered),
            stored_dataset=dataset,
            stored_config=config,
        ),
    )


class ResumeGathered(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is the run to continue and `artifacts` what it left; `assets` is the report of its node, none where that
    does not answer or the run cannot be continued anyway. `stored` is what of its inputs was uploaded, at the
    versions that it trained on. The rest are settings."""

    project: Project
    source: Run
    artifacts: tuple[RunArtifactRecorded, ...]
    assets: AssetReport | None
    command_template: str
    own_command_setting: str | None
    max_wall_seconds: float | None = None
    stored: Stored = Stored()


def resume_run(_: Run, command: ResumeRun, gathered: ResumeGathered) -> tuple[RunRequested, ...]:
    """A new run on the node that owns the checkpoint, with the dataset and the configuration of the run it continues.

    Its command is that of the template, unless the caller or the source's caller brought one.
    """
    source, assets = gathered.source, gathered.assets
    _require_open(gathered.project, command.project)
    _require_in_project(source, command)
    _require_deidentified(gathered.project, source.stored_dataset)
    assert source.status is not None
    if not source.ended:
        raise Refused("run_not_ended", status=source.status)
    own = command.start_command is not None or source.own_command
    if own and gathered.own_command_setting is not None:
        raise Refused("start_command_not_allowed", setting=gathered.own_command_setting)
    candidates = resumable(command, gathered.artifacts)
    if assets is None:
        raise Refused("node_unreachable", node=source.node)
    complete = [artifact for artifact in candidates if artifact.path not in assets.incomplete]
    if not complete:
        raise Refused("checkpoint_incomplete", node=source.node, path=candidates[-1].path)
    _require_assets(assets, gathered.stored)
    if command.start_command is not None:
        argv = _own_command(command.start_command)
    elif own:
        argv = source.argv
    else:
        argv = fill_command(gathered.command_template, source.training_yaml_path, source.dataset_path)
    return (
        RunRequested(
            project_id=project_id(command.project),
            node=source.node,
            dataset=source.dataset,
            training_yaml=source.training_yaml,
            argv=argv,
            resume_source_artifact_id=complete[-1].artifact_id,
            own_command=own,
            resumes=command.run_id,
            resume_from=complete[-1].path,
            max_wall_seconds=_wall(command, gathered),
            stored_dataset=source.stored_dataset,
            stored_config=source.stored_config,
        ),
    )


def _wall(command: StartRun | ResumeRun, gathered: StartGathered | ResumeGathered) -> float | None:
    """The shorter of what the caller and the settings say."""
    bounds = [seconds for seconds in (command.max_wall_seconds, gathered.max_wall_seconds) if seconds is not None]
    return min(bounds, default=None)


def resumable(command: ResumeRun, artifacts: tuple[RunArtifactRecorded, ...]) -> list[RunArtifactRecorded]:
    """The checkpoints that the command may mean, the best one last. Raises Refused where there is none."""
    if command.source_artifact_id is None:
        checkpoints = [artifact for artifact in artifacts if artifact.type == "checkpoint"]
        if not checkpoints:
            raise Refused("no_checkpoint", run_id=command.run_id)
        return checkpoints
    for artifact in artifacts:
        if artifact.artifact_id == command.source_artifact_id:
            if artifact.type != "checkpoint":
                raise Refused("not_a_checkpoint", name=artifact.name, type=artifact.type)
            return [artifact]
    raise Refused("artifact_not_found", artifact_id=command.source_artifact_id)


def _require_open(project: Project, reference: str) -> None:
    if not project.exists:
        raise Refused("project_not_found", reference=reference)
    if project.archived:
        raise Refused("project_archived", name=project.name)


def _require_deidentified(project: Project, dataset: StoredDataset | None) -> None:
    if project.require_deidentified and (dataset is None or not dataset.deidentified):
        raise Refused("raw_data_refused", project=project.name)


def _require_assets(assets: AssetReport, stored: Stored) -> None:
    if assets.outside:
        raise Refused("asset_outside", outside=", ".join(assets.outside))
    there = {*assets.not_files, *assets.unreadable}
    if missing := (*stored.missing, *(name for name in assets.missing if name not in there)):
        raise Refused("assets_missing", missing=", ".join(missing))
    if assets.not_files:
        raise Refused("asset_not_a_file", names=", ".join(assets.not_files))
    if assets.unreadable:
        raise Refused("asset_unreadable", names=", ".join(assets.unreadable))


def fill_command(template: str, training_yaml: str, dataset: str) -> tuple[str, ...]:
    """Splits first and fills then, so that what is filled in stays one argument whatever it holds.

    Fields: `{training_yaml_name}`, `{dataset_name}`; a brace is `{{` or `}}`. ValueError: the template is empty or its
    quotes are unbalanced.
    """
    words = shlex.split(template)
    if not words:
        raise ValueError("an empty command")
    return tuple(word.format(training_yaml_name=training_yaml, dataset_name=dataset) for word in words)


def _own_command(command: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words or not words[0] or "\0" in command:
        raise InvalidBody(
            Wrong(
                "/start_command", "不是一条完整的命令（引号不配对或为空）", "is not a whole command (quotes, or empty)"
            )
        )
    return tuple(words)


def cancel_run(run: Run, command: CancelRun, _: None) -> tuple[RunCancelRequested | RunCanceled, ...]:
    """A run that no node has taken yet is canceled at once; any other when its node says that nothing is left."""
    _require_in_project(run, command)
    if run.ended:
        raise Refused("run_ended", status=run.status)
    if run.attempt == 0:
        return (RunCanceled(attempt=0),)
    return () if run.cancel_requested else (RunCancelRequested(),)


def _require_in_project(run: Run, command: ResumeRun | CancelRun | TagArtifact | UntagArtifact) -> None:
    if run.status is None or run.project_id != project_id(command.project):
        raise Refused("run_not_found", run_id=command.run_id)


def check_tag(command: TagArtifact | UntagArtifact) -> None:
    if wrongs := wrong_with_ends("/tag", command.tag) or wrong_with_text("/tag", command.tag):
        raise InvalidBody(*wrongs)


def tag_artifact(run: Run, command: TagArtifact, _: None) -> tuple[RunArtifactTagged, ...]:
    tags = _tags(run, command)
    if command.tag in tags:
        return ()
    if len(tags) >= _MOST_TAGS:
        raise Refused("too_many_tags", limit=_MOST_TAGS)
    return (RunArtifactTagged(artifact_id=command.artifact_id, tag=command.tag),)


def untag_artifact(run: Run, command: UntagArtifact, _: None) -> tuple[RunArtifactUntagged, ...]:
    if command.tag not in _tags(run, command):
        return ()
    return (RunArtifactUntagged(artifact_id=command.artifact_id, tag=command.tag),)


def _tags(run: Run, command: TagArtifact | UntagArtifact) -> frozenset[str]:
    _require_in_project(run, command)
    if command.artifact_id not in run.artifact_tags:
        raise Refused("artifact_not_found", artifact_id=command.artifact_id)
    return run.artifact_tags[command.artifact_id]
