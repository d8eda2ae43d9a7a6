"""One run from its assignment to its end; may be killed anywhere and begun again, also by another process."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from nats.js import JetStreamContext

from contracts.runs import AssignRun, RecordArtifact, ReportLaunchFailed, ReportRunEnded, ReportRunStarted
from events.event import Recorded
from events.log import EventLog
from events.runs import FailureCause, Run, RunAssigned
from services.runtime.commands import RUNS
from services.runtime.dispatch import Dispatch, Loaded, load
from services.runtime.durable_files import write_durably
from services.training import artifacts
from services.training.executors import Ended, Executor, LaunchFailed, Lost, NeverStarted, Place, Starting
from services.training.launching import Plan, prepare, variables
from services.training.output import Output, digest
from services.training.overlaps import Overlaps, overlapped
from services.training.reports import Reports
from services.training.telemetry import Publisher

_log = logging.getLogger(__name__)
_LAUNCH_LOOK = 0.005  # seconds between looks at a command that is just being started
_LOOK = 0.25
_SCAN = 5.0
_STOP_AGAIN = 30.0
_FIRST_ATTEMPT = 1
_MTIME_TICK = 0.1  # file times lag behind the clock by up to a kernel tick
_CLAIM_WITHIN = 10.0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What every run of this node needs. `executors` by name, the first is that of new runs.

    `root` is the training directory, `runs` that of the runs' own directories. `grace` is how many seconds a canceled
    run has between TERM and KILL.
    """

    name: str
    log: EventLog
    dispatch: Dispatch
    js: JetStreamContext
    executors: Mapping[str, Executor]
    root: Path
    runs: Path
    grace: float = 10.0
    overlaps: Overlaps = msgspec.field(default_factory=Overlaps)

    def place(self, run_id: UUID, attempt: int) -> Place:
        return Place(run_id, attempt, self.runs / str(run_id) / str(attempt))


class Supervisor:
    """Supervises one run of this node."""

    def __init__(self, node: Node, run_id: UUID) -> None:
        self._node = node
        self._run_id = run_id
        self._cancel = asyncio.Event()
        self._recorded: set[str] = set()

    def cancel(self) -> None:
        """The run's cancellation is on record: nothing of it may stay alive."""
        self._cancel.set()

    async def __call__(self) -> None:
        """Returns once the run's end is on record, or where the run is not this node's."""
        loaded = await load(self._node.log, RUNS, self._run_id)
        run: Run = loaded.state
        if run.status is None:
            return
        place = self._node.place(self._run_id, run.attempt or _FIRST_ATTEMPT)
        report = Reports(self._node.dispatch, self._run_id, loaded.recorded[0])
        if run.attempt == 0 and not run.ended:
            loaded = await self._assign(place, run, report)
            run = loaded.state
        if not await asyncio.to_thread(_is_assigned_here, place, loaded.recorded):
            if not run.ended and run.node == self._node.name:
                _log.error("run %s is another service's, which is named %s too", self._run_id, run.node)
            return
        if run.ended:
            await self._stop_leftovers(place, run)
            return
        if run.cancel_requested:
            self._cancel.set()
        self._recorded = set(run.artifact_paths)
        await self._supervise(place, run, report)

    async def _assign(self, place: Place, run: Run, report: Reports) -> Loaded:
        """Takes the run for this node if it is meant for it and still free, and reads it again.

        The command id of the assignment lies in the attempt's directory before it is sent, so that a service knows its
        own assignment again, and two of the same name by mistake do not take each other's.
        """
        if run.node == self._node.name:
            executor = next(iter(self._node.executors))
            command = AssignRun(run_id=self._run_id, attempt=place.attempt, node=self._node.name, executor=executor)
            await report.under(command, await asyncio.to_thread(_make_assignment_id, place))
        return await load(self._node.log, RUNS, self._run_id)

    async def _supervise(self, place: Place, run: Run, report: Reports) -> None:
        assert run.executor is not None
        executor = self._node.executors[run.executor]
        plan = await asyncio.to_thread(prepare, place, run, self._node.root)
        if run.status == "pending" and not await self._launched(executor, place, plan, report):
            return
        shared = str(self._node.root / plan.shared) if plan.shared else None
        with self._node.overlaps.using(place, shared):
            await self._accompany(executor, place, plan, report)

    async def _launched(self, executor: Executor, place: Place, plan: Plan, report: Reports) -> bool:
        """Whether the command runs or ran. If not, that is on record."""
        state = await executor.look(place)
        if isinstance(state, NeverStarted) and self._cancel.is_set() and await executor.prevent(place):
            await report(ReportRunEnded(run_id=self._run_id, attempt=place.attempt, exit_code=None), "ended")
            return False
        if isinstance(state, NeverStarted):
            try:
                await executor.launch(place, plan.argv, variables(plan))
            except LaunchFailed as failure:
                await self._report_launch_failed(place, str(failure), report)
                return False
            deadline = time.monotonic() + _CLAIM_WITHIN
            while isinstance(await executor.look(place), NeverStarted):
                if time.monotonic() > deadline and await executor.prevent(place):
                    await self._report_launch_failed(place, "启动包装进程没有响应，训练未启动", report)
                    return False
                await asyncio.sleep(_LAUNCH_LOOK)
        while isinstance(state := await executor.look(place), Starting):  # noqa: ASYNC110 - no task of ours
            await asyncio.sleep(_LAUNCH_LOOK)
        if isinstance(state, Ended) and state.refused is not None:
            await self._report_launch_failed(place, state.refused, report)
            return False
        await report(ReportRunStarted(run_id=self._run_id, attempt=place.attempt), f"{place.attempt}/started")
        return True

    async def _report_launch_failed(self, place: Place, reason: str, report: Reports) -> None:
        command = ReportLaunchFailed(run_id=self._run_id, attempt=place.attempt, reason=reason)
        await report(command, f"{place.attempt}/launch_failed")

    async def _accompany(self, executor: Executor, place: Place, plan: Plan, report: Reports) -> None:
        publisher = Publisher(self._node.js, self._run_id, place.attempt, place.directory / "published.json")
        output = Output(publisher, place.output, self._run_id, place.attempt)
        async with asyncio.TaskGroup() as group:
            group.create_task(output.follow())
            scanning = group.create_task(self._collect(place, plan, report))
            state = await self._end_of(executor, place)
            scanning.cancel()
            await self._clear(executor, place)
            output.finish()
        await self._record(await self._find(place, plan, ended=True), report)
        printed = publisher.committed.end
        sha256 = await asyncio.to_thread(digest, place.output, printed) if printed else None
        if sha256 is not None:
            raw = artifacts.Found(place.output.name, "log", str(place.output), printed, sha256=sha256)
            await self._record([raw], report)
        code, cause, reason = explain(state)
        await report(
            ReportRunEnded(
                run_id=self._run_id,
                attempt=place.attempt,
                exit_code=code,
                cause=cause,
                reason=reason,
                output_bytes=printed,
                output_sha256=sha256,
                telemetry=publisher.committed.sequence,
            ),
            f"{place.attempt}/ended",
        )

    async def _end_of(self, executor: Executor, place: Place) -> Ended | Lost:
        while True:
            state = await executor.look(place)
            if isinstance(state, Ended | Lost):
                return state
            if isinstance(state, NeverStarted):  # it was started, and what would tell of it is gone
                return Lost()
            if self._cancel.is_set():
                await self._clear(executor, place)
                await asyncio.sleep(_LAUNCH_LOOK)  # the wrapper is about to write the exit code
                continue
            try:
                async with asyncio.timeout(_LOOK):
                    await self._cancel.wait()
            except TimeoutError:
                pass

    async def _clear(self, executor: Executor, place: Place) -> None:
        """Returns once nothing of the run is alive; until then its end is not reported."""
        while survivors := await executor.stop(place, self._node.grace):
            _log.error("run %s cannot be stopped: pids %s are alive after KILL; trying again", self._run_id, survivors)
            await asyncio.sleep(_STOP_AGAIN)

    async def _stop_leftovers(self, place: Place, run: Run) -> None:
        """A run that was declared ended while this service was away may still have processes here."""
        executor = self._node.executors.get(run.executor or "")
        if executor is not None:
            await self._clear(executor, place)

    async def _collect(self, place: Place, plan: Plan, report: Reports) -> None:
        while True:
            await self._record(await self._find(place, plan, ended=False), report)
            await asyncio.sleep(_SCAN)

    async def _find(self, place: Place, plan: Plan, *, ended: bool) -> list[artifacts.Found]:
        known = frozenset(self._recorded)
        return await asyncio.to_thread(_found, place, plan, self._node.root, known, ended=ended)

    async def _record(self, found: list[artifacts.Found], report: Reports) -> None:
        for artifact in found:
            command = RecordArtifact(
                run_id=self._run_id,
                name=artifact.name,
                type=artifact.type,
                path=artifact.path,
                size=artifact.size,
                files=artifact.files,
                sha256=artifact.sha256,
            )
            if artifact.path not in self._recorded:
                await report(command, f"artifact/{artifact.path}")
                self._recorded.add(artifact.path)


def explain(state: Ended | Lost) -> tuple[int | None, FailureCause | None, str | None]:
    """Exit code, cause and a Chinese sentence; the latter two none for exit code 0."""
    if isinstance(state, Lost):
        return None, "lost", "训练进程已消失且没有留下退出码（可能与其包装进程一起被终止，或主机、容器已重启）"
    code = state.exit_code
    if state.refused is not None:
        return code, "launch", state.refused
    if code == 0:
        return code, None, None
    if code > 128:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return code, "exit", f"训练命令以退出码 {code} 结束"
        hint = "，可能是内存不足" if name == "SIGKILL" else ""
        return code, "signal", f"训练进程被信号 {name} 终止（退出码 {code}{hint}）"
    return code, "exit", f"训练命令以退出码 {code} 结束"


def _found(place: Place, plan: Plan, root: Path, known: frozenset[str], *, ended: bool) -> list[artifacts.Found]:
    directories = [root / plan.output] if plan.output else []
    if plan.shared and not overlapped(place):
        directories.append(root / plan.shared)
    since = plan.launched_at - _MTIME_TICK
    found = plan.configuration.found if plan.configuration else []
    for path in directories:
        found += artifacts.checkpoints(path, since, ended=ended, known=known)
    if ended and plan.output:
        found += artifacts.tensorboards(root / plan.output, since)
    return found


def _assignment_id(place: Place) -> UUID | None:
    try:
        return UUID((place.directory / "assignment").read_text())
    except FileNotFoundError:
        return None


def _make_assignment_id(place: Place) -> UUID:
    if made := _assignment_id(place):
        return made
    place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = uuid4()
    write_durably(place.directory / "assignment", str(made).encode())
    return made


def _is_assigned_here(place: Place, recorded: list[Recorded]) -> bool:
    own_id = _assignment_id(place)
    return any(isinstance(entry.fact, RunAssigned) and entry.meta.origin.command_id == own_id for entry in recorded)
