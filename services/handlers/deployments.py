"""Decisions on deployments."""

from __future__ import annotations

import re
import shlex
from uuid import UUID

import msgspec

from contracts.deployments import CreateDeployment, RemoveDeployment, RestartDeployment, RoomReport
from contracts.leases import Wish
from contracts.problems import InvalidBody, Refused, Wrong
from events.deployments import (
    Deployment,
    DeploymentRemoved,
    DeploymentRequested,
    DeploymentRestartRequested,
    DeploymentStopRequested,
)
from services.handlers.texts import CONTROL, wrong_with_text

# RFC 3986: a path, and a query where there is one; nothing that could name another host.
_HEALTH_PATH = re.compile(r"/(?!/)[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?")
# What the service itself decides, in the words of the servers that people run, and files that would say it too.
_OWN_OPTIONS = (
    *("port", "server-port"),
    *("host", "hostname", "server-name", "uds"),
    *("model", "model-path", "model-tag", "model-id", "model-url", "force-model", "hf-repo"),
    *("config", "config-file"),
)
# Short ones, also with the value in the same argument; vLLM has other options that begin with -p.
_OWN_SHORT = re.compile(r"-(?:m.*|p|p[\s+]*\d.*|hf.*)", re.DOTALL)


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The artifact that a deployment is made of, as its run's facts tell it; `complete` as its node says just now.

    `complete` is none where the node does not answer.
    """

    run_id: UUID
    node: str
    name: str
    type: str
    path: str
    complete: bool | None


class CreateGathered(msgspec.Struct, frozen=True, kw_only=True):
    """`room` is the report of the node that is to serve, none where no node answers."""

    room: RoomReport | None
    checkpoint: Checkpoint | None = None


def check_create(command: CreateDeployment) -> None:
    """Refuses what can be refused without knowing any state."""
    wrongs: list[Wrong] = []
    if (command.model_path is None) == (command.artifact_id is None):
        wrongs.append(
            Wrong(
                "/model_path",
                "须给出 model_path 或 artifact_id 之一",
                "either this or artifact_id must be given, not both",
            )
        )
    wrongs += wrong_with_text("/model_version", command.model_version or "")
    wrongs += [wrong for index, tag in enumerate(command.tags) for wrong in wrong_with_text(f"/tags/{index}", tag)]
    if not _HEALTH_PATH.fullmatch(command.health_path):
        wrongs.append(
            Wrong("/health_path", "须为以 / 开头的 URL 路径", "must be the path of a URL, beginning with one slash")
        )
    if wrongs:
        raise InvalidBody(*wrongs)
    if command.model_path is not None:
        _check_model_path(command.model_path)
    split_extra_args(command.extra_args or "")


def wish_of(command: CreateDeployment | DeploymentRequested) -> Wish:
    """A need for memory is a need for a GPU."""
    return Wish(
        gpus=1 if command.gpu_required or command.min_free_memory is not None else 0,
        preferred_gpu=command.preferred_gpu,
        memory=command.min_free_memory or 0,
        exclusive=command.exclusive,
    )


def create_deployment(
    _: Deployment, command: CreateDeployment, gathered: CreateGathered
) -> tuple[DeploymentRequested, ...]:
    checkpoint = gathered.checkpoint
    if checkpoint is not None:
        if checkpoint.type != "checkpoint":
            raise Refused("not_a_checkpoint", name=checkpoint.name, type=checkpoint.type)
        if checkpoint.complete is None:
            raise Refused("deployment_node_unreachable", node=checkpoint.node)
        if not checkpoint.complete:
            raise Refused("checkpoint_incomplete", node=checkpoint.node, path=checkpoint.path)
    if gathered.room is None:
        raise Refused("no_deployment_node")
    if gathered.room.refused is not None:
        raise Refused(gathered.room.refused, node=gathered.room.node)
    model_path = checkpoint.path if checkpoint else command.model_path
    assert model_path is not None
    return (
        DeploymentRequested(
            node=gathered.room.node,
            model_path=model_path,
            health_path=command.health_path,
            model_version=command.model_version,
            tags=command.tags,
            extra_args=command.extra_args or "",
            preferred_gpu=command.preferred_gpu,
            gpu_required=command.gpu_required,
            min_free_memory=command.min_free_memory,
            exclusive=command.exclusive,
            restart_policy=command.restart_policy,
            run_id=checkpoint.run_id if checkpoint else None,
            artifact_id=command.artifact_id,
        ),
    )


def remove_deployment(
    deployment: Deployment, command: RemoveDeployment, _: None
) -> tuple[DeploymentStopRequested | DeploymentRemoved, ...]:
    """One that has ended is removed at once; any other when its node says that nothing of it is left."""
    _require(deployment, command)
    if deployment.ended:
        return (DeploymentRemoved(),)
    if deployment.stop_requested and (deployment.force or not command.force):
        return ()
    return (DeploymentStopRequested(force=command.force),)


def restart_deployment(
    deployment: Deployment, command: RestartDeployment, _: None
) -> tuple[DeploymentRestartRequested, ...]:
    _require(deployment, command)
    if deployment.stop_requested:
        raise Refused("deployment_stopping", deployment_id=command.deployment_id)
    return () if deployment.restart_requested else (DeploymentRestartRequested(),)


def _require(deployment: Deployment, command: RemoveDeployment | RestartDeployment) -> None:
    if deployment.status is None or deployment.removed:
        raise Refused("deployment_not_found", deployment_id=command.deployment_id)


def split_extra_args(text: str) -> tuple[str, ...]:
    """Separate arguments, as a shell would split them. Raises Refused for one that the service itself decides."""
    if found := CONTROL.search(text):
        raise Refused("extra_args_refused", argument=repr(found[0]))
    try:
        arguments = shlex.split(text)
    except ValueError:
        raise Refused("extra_args_unbalanced") from None
    if arguments and not arguments[0].startswith("-"):  # there is no option whose value it could be
        raise Refused("extra_args_refused", argument=arguments[0])
    for argument in arguments:
        option = argument.partition("=")[0]
        if _OWN_SHORT.fullmatch(option) or (option.startswith("--") and _is_own(option.removeprefix("--"))):
            raise Refused("extra_args_refused", argument=argument)
    return tuple(arguments)


def _is_own(name: str) -> bool:
    """Parsers of options take `_` for `-`, any beginning that is clear to them, and vLLM's a key behind a dot.

    Also for the bare `--`, behind which nothing is an option any more.
    """
    name = name.partition(".")[0].replace("_", "-")
    return any(own.startswith(name) for own in _OWN_OPTIONS)


def fill_command(
    template: str, *, model_path: str, host: str, port: int, gpu_id: int | None, extra_args: tuple[str, ...]
) -> tuple[str, ...]:
    """Splits first and fills then, so that what is filled in stays one argument whatever it holds.

    A word that is `{extra_args}` becomes as many arguments as there are. ValueError: the template is empty or its
    quotes are unbalanced.
    """
    words = shlex.split(template)
    if not words:
        raise ValueError("an empty command")
    fields = {
        "model_path": model_path,
        "host": host,
        "port": port,
        "gpu_id": "" if gpu_id is None else gpu_id,
        "extra_args": shlex.join(extra_args),
    }
    filled: list[str] = []
    for word in words:
        if word == "{extra_args}":
            filled += extra_args
        else:
            filled.append(word.format(**fields))
    return tuple(filled)


def _check_model_path(path: str) -> None:
    """A path, or a hub's id: whether it is there is for the server to find out."""
    if path.startswith("-") or path != path.strip() or CONTROL.search(path):
        raise Refused("model_path_refused")
