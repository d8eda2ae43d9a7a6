"""Why a deployment came as it did: each of its facts in a sentence, with who caused it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never
from uuid import UUID

from contracts.deployment_history import DeploymentExplanation, DeploymentStep
from contracts.problems import Language
from contracts.times import unix_seconds
from events.deployments import (
    AnyDeploymentFact,
    Deployment,
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
    evolve,
)
from events.event import Recorded
from services.edge.explained import Told, actor_name, erased

_ENDS = (DeploymentStopped, DeploymentFailed)

_PREFERENCES = {
    "granted": ("（所要求的 GPU）", " as preferred"),
    "unknown": ("（所要求的 GPU 不存在，改用空闲显存最多的）", ", for the preferred one does not exist"),
    "unavailable": ("（所要求的 GPU 不满足要求，改用空闲显存最多的）", ", for the preferred one has no room for it"),
}


_STOPS = {
    "asked": ("应请求停止，没有进程存活，显存已释放", "as asked, nothing of it is left alive, and its memory is free"),
    "memory": (
        "应请求停止，没有进程存活，但驱动仍显示其占用显存",
        "as asked, nothing of it is left alive, but the driver still shows it in the GPU's memory",
    ),
    "exited": ("服务进程自行以退出码 0 结束", "the server ended by itself with exit code 0"),
    "machine_restart": ("主机已重新启动", "the machine was started anew"),
}


def explain_deployment(
    deployment_id: UUID, recorded: Sequence[Recorded], name_of: Callable[[UUID], str | None], language: Language
) -> DeploymentExplanation | None:
    """`recorded`: the deployment's facts, oldest first; none where there are none."""
    deployment = Deployment()
    chain: list[DeploymentStep] = []
    why: str | None = None
    for entry in recorded:
        fact = entry.fact
        assert isinstance(fact, AnyDeploymentFact)
        deployment = evolve(deployment, fact)
        origin = entry.meta.origin
        name = actor_name(origin.actor, name_of, language)
        kind, zh, en = _told(fact, name or erased(language))
        sentence = zh if language == "zh" else en
        if isinstance(fact, _ENDS):
            why = sentence
        elif isinstance(fact, DeploymentPlaced | DeploymentRestartRequested):
            why = None
        chain.append(
            DeploymentStep(
                position=entry.meta.position,
                time=unix_seconds(entry.meta.time),
                fact=type(fact).__name__,
                kind=kind,
                actor=origin.actor,
                name=name,
                command_id=origin.command_id,
                correlation_id=origin.correlation_id,
                causation_id=origin.causation_id,
                sentence=sentence,
            )
        )
    if deployment.status is None:
        return None
    return DeploymentExplanation(deployment_id=deployment_id, status=deployment.status, why=why, chain=tuple(chain))


def _told(fact: AnyDeploymentFact, who: str) -> Told:
    match fact:
        case DeploymentRequested():
            source = fact.artifact_id
            return (
                "asked",
                f"{who} 请求由节点 {fact.node} 部署模型 {fact.model_path}"
                + (f"（训练 {fact.run_id} 的检查点 {source}）" if source else ""),
                f"{who} asked node {fact.node} to serve the model {fact.model_path}"
                + (f", the checkpoint {source} of run {fact.run_id}" if source else ""),
            )
        case DeploymentPlaced():
            zh, en = _placed(fact)
            return "decided", f"第 {fact.attempt} 次尝试使用端口 {fact.port}{zh}", f"attempt {fact.attempt} gets {en}"
        case DeploymentLaunched():
            return "observed", f"服务进程已启动，进程号 {fact.pid}", f"the server's process is there, pid {fact.pid}"
        case DeploymentStarted():
            return "observed", "健康检查首次通过，服务已运行", "its first health probe was good: the server runs"
        case DeploymentAttemptEnded():
            return "observed", *_another(fact)
        case DeploymentRestartRequested():
            return "asked", f"{who} 请求重新启动", f"{who} asked for a restart"
        case DeploymentStopRequested():
            return (
                "asked",
                f"{who} 请求{'强制' if fact.force else ''}停止并移除",
                f"{who} asked for its end and removal" + (", by force" if fact.force else ""),
            )
        case DeploymentStopUnconfirmed():
            pids = ", ".join(map(str, fact.pids))
            return "observed", f"要求停止后仍有进程存活：{pids}", f"processes are alive although told to end: {pids}"
        case DeploymentStopped():
            zh, en = _STOPS[fact.cause if fact.memory_free else "memory"]
            return "observed", zh, en
        case DeploymentFailed():
            code = "" if fact.exit_code is None else str(fact.exit_code)
            return (
                "observed",
                f"部署失败（{fact.cause}{f'，退出码 {code}' if code else ''}）：{fact.reason}",
                f"the deployment failed ({fact.cause}{f', exit code {code}' if code else ''}): {fact.reason}",
            )
        case DeploymentRemoved():
            return "decided", "已移出列表", "it is taken off the list"
        case _:
            assert_never(fact)


def _placed(fact: DeploymentPlaced) -> tuple[str, str]:
    if fact.gpu_id is None:
        zh, en = ("（所要求的也不存在）", ", nor does the preferred one exist") if fact.preference else ("", "")
        return f"，没有 GPU{zh}", f"port {fact.port} and no GPU{en}"
    zh, en = _PREFERENCES[fact.preference] if fact.preference else ("", "")
    return f"、GPU {fact.gpu_id}{zh}", f"port {fact.port} and GPU {fact.gpu_id}{en}"


def _another(fact: DeploymentAttemptEnded) -> tuple[str, str]:
    if fact.cause == "restart":
        return f"第 {fact.attempt} 次尝试已结束，将重新启动", f"attempt {fact.attempt} has ended; another one follows"
    after_zh = f"{fact.retry_after:g} 秒后再次尝试" if fact.retry_after else "将再次尝试"
    after_en = f"another one follows after {fact.retry_after:g} s" if fact.retry_after else "another one follows"
    return (
        f"第 {fact.attempt} 次尝试已结束（{fact.cause}）：{fact.reason}；{after_zh}",
        f"attempt {fact.attempt} has ended ({fact.cause}): {fact.reason}; {after_en}",
    )
