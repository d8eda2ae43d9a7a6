"""Why a run came as it did: each of its facts in a sentence, with who caused it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Literal, assert_never
from uuid import UUID

from contracts.problems import Language
from contracts.run_views import RunExplanation, Step
from contracts.times import naive_iso
from events.event import Recorded
from events.runs import (
    AnyRunFact,
    Run,
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
    evolve,
)

_ENDS = (RunCompleted, RunFailed, RunCanceled, RunLaunchFailed)
_SERVICES = {
    "service:training": ("训练服务", "the training service"),
    "service:deployment": ("部署服务", "the deployment service"),
    "service:nodes": ("节点监视", "the watch over nodes"),
    "service:command-line": ("命令行", "the command line"),
}

Told = tuple[Literal["asked", "decided", "observed"], str, str]  # kind, 中文, English


def explain(
    run_id: UUID, recorded: Sequence[Recorded], name_of: Callable[[UUID], str | None], language: Language
) -> RunExplanation | None:
    """`recorded`: the run's facts, oldest first; none where there are none."""
    run = Run()
    chain: list[Step] = []
    why: str | None = None
    asked_to_cancel: str | None = None
    artifacts: dict[UUID, str] = {}
    for entry in recorded:
        fact = entry.fact
        assert isinstance(fact, AnyRunFact)
        run = evolve(run, fact)
        actor = entry.meta.origin.actor
        name = actor_name(actor, name_of, language)
        if isinstance(fact, RunArtifactRecorded):
            artifacts[fact.artifact_id] = fact.name
        if isinstance(fact, RunCancelRequested):
            asked_to_cancel = name
        kind, zh, en = _told(fact, name or erased(language), asked_to_cancel, artifacts)
        sentence = zh if language == "zh" else en
        if isinstance(fact, _ENDS):
            why = sentence
        chain.append(
            Step(
                position=entry.meta.position,
                time=naive_iso(entry.meta.time),
                fact=type(fact).__name__,
                kind=kind,
                actor=actor,
                name=name,
                command_id=entry.meta.origin.command_id,
                correlation_id=entry.meta.origin.correlation_id,
                causation_id=entry.meta.origin.causation_id,
                sentence=sentence,
            )
        )
    if run.status is None:
        return None
    return RunExplanation(run_id=run_id, status=run.status, why=why, chain=tuple(chain))


def _told(fact: AnyRunFact, who: str, canceler: str | None, artifacts: dict[UUID, str]) -> Told:
    match fact:
        case RunRequested():
            command = shlex.join(fact.argv)
            resumed = fact.resume_source_artifact_id
            digests_zh, digests_en = _digests(fact)
            return (
                "asked",
                f"{who} 请求训练：{command}；已在节点 {fact.node} 上确认数据集 {fact.dataset} 与配置"
                f" {fact.training_yaml}{digests_zh}" + (f"；从产物 {resumed} 继续" if resumed else ""),
                f"{who} asked for a training: {command}; dataset {fact.dataset} and configuration"
                f" {fact.training_yaml} were found on node {fact.node}{digests_en}"
                + (f"; it resumes from artifact {resumed}" if resumed else ""),
            )
        case RunQueued():
            return (
                "decided",
                f"节点的训练名额已满、空闲 GPU 不足或输出目录正被使用，排队等待，前面还有 {fact.ahead} 个训练在排队",
                f"it waits for room and GPUs of the node, or for its output directory; {fact.ahead} wait before it",
            )
        case RunAssigned():
            return (
                "decided",
                f"第 {fact.attempt} 次尝试由节点 {fact.node} 以执行器 {fact.executor} 启动，且只由它启动",
                f"attempt {fact.attempt} is node {fact.node}'s, and no other's, to launch by {fact.executor}",
            )
        case RunStarted():
            return "observed", "训练命令已在运行", "the training command is running"
        case RunAttemptFailed():
            return (
                "observed",
                f"第 {fact.attempt} 次尝试启动失败：{fact.reason}；将再次尝试",
                f"attempt {fact.attempt} could not be launched: {fact.reason_en or fact.reason}; another one follows",
            )
        case RunStopUnconfirmed():
            pids = ", ".join(map(str, fact.pids))
            return (
                "observed",
                f"强制终止后仍有进程存活：{pids}；节点继续尝试",
                f"processes outlived their killing: {pids}; the node goes on trying",
            )
        case RunLaunchFailed():
            why = fact.reason_en or fact.reason
            return "observed", f"训练启动失败：{fact.reason}", f"the training could not be launched: {why}"
        case RunCancelRequested():
            return "asked", f"{who} 请求取消训练", f"{who} asked for the training to be canceled"
        case RunArtifactRecorded():
            return (
                "observed",
                f"留下了产物 {fact.name}（{fact.type}，{fact.size} 字节）：{fact.path}",
                f"it left the artifact {fact.name} ({fact.type}, {fact.size} bytes): {fact.path}",
            )
        case RunArtifactTagged():
            name = artifacts.get(fact.artifact_id, str(fact.artifact_id))
            return "asked", f"{who} 给产物 {name} 加上标签 {fact.tag}", f"{who} tagged the artifact {name}: {fact.tag}"
        case RunArtifactUntagged():
            name = artifacts.get(fact.artifact_id, str(fact.artifact_id))
            return (
                "asked",
                f"{who} 去掉了产物 {name} 的标签 {fact.tag}",
                f"{who} took the tag {fact.tag} off the artifact {name}",
            )
        case RunCompleted():
            size = fact.output_bytes + fact.stderr_bytes
            return (
                "observed",
                f"训练命令以退出码 0 结束，共输出 {size} 字节；训练已完成",
                f"the training command ended with exit code 0, having printed {size} bytes; the run is complete",
            )
        case RunFailed():
            code = "" if fact.exit_code is None else str(fact.exit_code)
            why = fact.reason_en or fact.reason
            return (
                "observed",
                f"训练失败（{fact.cause}{f'，退出码 {code}' if code else ''}）：{fact.reason}",
                f"the training failed ({fact.cause}{f', exit code {code}' if code else ''}): {why}",
            )
        case RunCanceled() if canceler is None:  # before any node had taken it
            return "decided", f"{who} 在训练启动前取消了它", f"{who} canceled the training before it was launched"
        case RunCanceled():
            return (
                "observed",
                f"应 {canceler} 的请求，训练的全部进程已停止；训练已取消",
                f"as {canceler} had asked, nothing of the training is left alive; the run is canceled",
            )
        case _:
            assert_never(fact)


def _digests(fact: RunRequested) -> tuple[str, str]:
    """Which contents the names of uploaded files stand for."""
    zh = en = ""
    if (dataset := fact.stored_dataset) is not None:
        zh += f"；数据集版本 {dataset.version}，文件 SHA-256 {dataset.sha256}"
        en += f"; dataset version {dataset.version}, SHA-256 of the file {dataset.sha256}"
        if dataset.deidentified:
            zh += "，已去标识化"
            en += ", de-identified"
        if dataset.job_id is not None:
            zh += f"（任务 {dataset.job_id}，策略 {dataset.policy_id} {dataset.policy_version}）"
            en += f" (job {dataset.job_id}, policy {dataset.policy_id} {dataset.policy_version})"
    if (config := fact.stored_config) is not None:
        zh_of, en_of = ("", "") if config.dataset_id is None else ("数据集的", "the dataset's ")
        zh += f"；{zh_of}训练配置版本 {config.version}（{config.filename}），SHA-256 {config.sha256}"
        en += f"; {en_of}training configuration version {config.version} ({config.filename}), SHA-256 {config.sha256}"
    return zh, en


def actor_name(actor: str, name_of: Callable[[UUID], str | None], language: Language) -> str | None:
    """None for a person who was erased."""
    if actor in _SERVICES:
        return _SERVICES[actor][language == "en"]
    if actor.startswith("service:"):
        return actor.removeprefix("service:")
    try:
        return name_of(UUID(actor))
    except ValueError:
        return actor


def erased(language: Language) -> str:
    return "（已删除的人员）" if language == "zh" else "somebody who was erased"
