"""Decisions on projects."""

from __future__ import annotations

import re
import unicodedata
from uuid import UUID

import msgspec
from msgspec import UNSET

from contracts.assets import CONFIG_PREFIX, DATASET_CONFIG_PREFIX, DATASET_PREFIX, config_reference, dataset_reference
from contracts.problems import InvalidBody, Refused, Wrong
from contracts.projects import ArchiveProject, CreateProject, ReviseProject, UnarchiveProject, reads_as_uuid
from events.projects import Project, ProjectArchived, ProjectCreated, ProjectRevised, ProjectUnarchived
from services.handlers.texts import wrong_with_name, wrong_with_person, wrong_with_prose, wrong_with_text

# The name of an asset becomes an argument of users' scripts, many of which do not quote: no blanks, no shell syntax.
_ASSET_NAME = re.compile(r"[\w.\-+@=,:/]+")


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """`owner` is the person whom the command names, where it names one."""

    owner: UUID | None = None


def check_create(command: CreateProject) -> None:
    """Refuses what can be refused without knowing any state, before anything is looked up."""
    wrongs = [*_wrong_with_project_name(command.name), *wrong_with_person("/owner", command.owner)]
    wrongs += _wrong_with_dataset("/dataset_name", command.dataset_name)
    wrongs += _wrong_with_config("/training_yaml_name", command.training_yaml_name)
    wrongs += wrong_with_prose("/description", command.description)
    wrongs += wrong_with_prose("/objective", command.objective)
    wrongs += wrong_with_prose("/task_type", command.task_type)
    wrongs += _wrong_with_tags(command.tags)
    if wrongs:
        raise InvalidBody(*wrongs)


def check_revise(command: ReviseProject) -> None:
    changes = command.changes
    wrongs: list[Wrong] = []
    if changes.owner is not UNSET:
        wrongs += wrong_with_person("/owner", changes.owner)
    if changes.description is not UNSET:
        wrongs += wrong_with_prose("/description", changes.description)
    if changes.tags is not UNSET:
        wrongs += _wrong_with_tags(changes.tags)
    if changes.dataset_name is not UNSET:
        wrongs += _wrong_with_dataset("/dataset_name", changes.dataset_name)
    if changes.training_yaml_name is not UNSET:
        wrongs += _wrong_with_config("/training_yaml_name", changes.training_yaml_name)
    if wrongs:
        raise InvalidBody(*wrongs)


def create_project(project: Project, command: CreateProject, gathered: Gathered) -> tuple[ProjectCreated, ...]:
    if project.exists:
        raise Refused("project_exists", name=command.name)
    assert gathered.owner is not None
    fields = msgspec.structs.asdict(command) | {
        "name": unicodedata.normalize("NFC", command.name),
        "owner": gathered.owner,
    }
    return (ProjectCreated(**fields),)


def revise_project(project: Project, command: ReviseProject, gathered: Gathered) -> tuple[ProjectRevised, ...]:
    _require_active(project, command.project)
    asked = {name: value for name, value in msgspec.structs.asdict(command.changes).items() if value is not UNSET}
    if "owner" in asked:
        asked["owner"] = gathered.owner
    changed = {name: value for name, value in asked.items() if getattr(project, name) != value}
    return (ProjectRevised(**changed),) if changed else ()


def archive_project(project: Project, command: ArchiveProject, _: Gathered) -> tuple[ProjectArchived, ...]:
    _require_existing(project, command.project)
    if project.archived:
        raise Refused("project_already_archived", name=project.name)
    return (ProjectArchived(),)


def unarchive_project(project: Project, command: UnarchiveProject, _: Gathered) -> tuple[ProjectUnarchived, ...]:
    _require_existing(project, command.project)
    if not project.archived:
        raise Refused("project_not_archived", name=project.name)
    return (ProjectUnarchived(),)


def _require_existing(project: Project, reference: str) -> None:
    if not project.exists:
        raise Refused("project_not_found", reference=reference)


def _require_active(project: Project, reference: str) -> None:
    _require_existing(project, reference)
    if project.archived:
        raise Refused("project_archived", name=project.name)


def _wrong_with_project_name(name: str) -> list[Wrong]:
    """A project's name is a path segment of its URLs and must address it and nothing else."""
    if "/" in name:
        return [Wrong("/name", "不能包含斜杠", "must not contain a slash")]
    if name in (".", ".."):
        return [Wrong("/name", "不能是 . 或 ..", "must not be . or ..")]
    if reads_as_uuid(name):
        return [Wrong("/name", "不能是 UUID 的形式", "must not read as a UUID")]
    return wrong_with_name("/name", name)


def _wrong_with_tags(tags: tuple[str, ...]) -> list[Wrong]:
    return [wrong for index, tag in enumerate(tags) for wrong in wrong_with_text(f"/tags/{index}", tag)]


def _wrong_with_dataset(pointer: str, name: str) -> list[Wrong]:
    if not name.startswith(DATASET_PREFIX):
        return _wrong_with_asset(pointer, name)
    if dataset_reference(name) is not None:
        return []
    form = "dataset:<id>[@<version>][/<file name>]"
    return [Wrong(pointer, f"数据集引用的形式是 {form}", f"a dataset is named {form}")]


def _wrong_with_config(pointer: str, name: str) -> list[Wrong]:
    prefix = name.partition(":")[0]
    if prefix not in (CONFIG_PREFIX, DATASET_CONFIG_PREFIX):
        return _wrong_with_asset(pointer, name)
    if config_reference(name) is not None:
        return []
    form = "train-config[:<version>]" if prefix == CONFIG_PREFIX else "dataset-config:<id>[@<version>]"
    return [Wrong(pointer, f"训练配置引用的形式是 {form}", f"the training configuration is named {form}")]


def _wrong_with_asset(pointer: str, name: str) -> list[Wrong]:
    if not _ASSET_NAME.fullmatch(name):
        return [
            Wrong(
                pointer,
                "只能包含字母、数字、汉字和 . _ - + @ = , : /",
                "may hold only letters, digits and . _ - + @ = , : /",
            )
        ]
    if name.startswith("/") or ".." in name.split("/"):
        return [Wrong(pointer, "必须是训练目录内的相对路径", "must be a relative path inside the training directory")]
    if name.startswith("-"):
        return [Wrong(pointer, "不能以 - 开头", "must not begin with -")]
    return []
