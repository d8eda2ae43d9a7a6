"""One run from its assignment to its end; may be killed anywhere and begun again, also by another process."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from typing import Literal
from uuid import UUID, uuid4

from contracts.runs import (
    AssignRun,
    ReportAttemptFailed,
    ReportLaunchFailed,
    ReportRunEnded,
    ReportRunQueued,
    ReportRunStarted,
    ReportStopUnconfirmed,
)
from events.runs import Run
from services.runtime.children import Ended, LaunchFailed, Lost, NeverStarted, Reason, Starting
from services.runtime.commands import RUNS
from services.runtime.dispatch import Loaded, load
from services.training.assignment import is_assigned_here, make_assignment_id
from services.training.collecting import files, keep_output, keep_report
from services.training.endings import directory_gone, explain, overtime, overtime_mark
from services.training.executors import Executor, Place
from services.training.inputs import place_config, place_inputs
from services.training.launching import Plan, prepare, shared_directory, variables
from services.training.node import Node
from services.training.output import Output
from services.training.recording import Recording
from services.training.reports import Reports
from services.training.slots import Running
from services.training.telemetry import Publisher

_log = logging.getLogger(__name__)
_LAUNCH_LOOK = 0.005  # seconds between looks at a command that is just being started
_LOOK = 0.25
_STOP_AGAIN = 30.0
_LONGEST_RETRY_PAUSE = 60.0
_FIRST_ATTEMPT = 1
_CLAIM_WITHIN = 10.0
_SILENT = Reason("启动包装进程没有响应，训练未启动", "the wrapper of the command does not answer; nothing was started")


class Supervisor:
    """Supervises one run of this node. `had`: an earlier service of this data directory did."""

    def __init__(self, node: Node, run_id: UUID, *, had: bool = False) -> None:
        self._node = node
        self._run_id = run_id
        self._cancel = asyncio.Event()
        self._ours = had

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
            if self._node.answers_to(run.node):
                await self._turn(place, run, loaded.recorded[0].meta.position, report)
            loaded = await self._assign(place, run, report)
            run = loaded.state
        if not await asyncio.to_thread(is_assigned_here, place, loaded.recorded):
            if run.ended or not self._node.answers_to(run.node):
                return
            # The name is this service's alone: where it had the run, or a cancellation waits, nobody else ends it.
            if self._ours or run.cancel_requested:
                await self._give_up(place, run, report)
            else:
                _log.error(
                    "run %s was another service's, which was named %s too; it can be canceled", self._run_id, run.node
                )
            return
        self._ours = True
        if run.ended:
            await self._stop_leftovers(place, run, report)
            return
        if run.cancel_requested:
            self._cancel.set()
        while run.failed_attempt == run.attempt or not await self._supervise(place, run, report):
            pause = min(self._node.retry_pause * 2 ** (place.attempt - 1), _LONGEST_RETRY_PAUSE)
            if await _first_of(self._cancel, asyncio.Event(), pause):
                await report(ReportRunEnded(run_id=self._run_id, attempt=place.attempt, exit_code=None), "ended")
                return
            place = self._node.place(self._run_id, place.attempt + 1)
            run = (await self._assign(place, run, report)).state
            if run.ended or run.attempt != place.attempt:
                return

    async def _turn(self, place: Place, run: Run, position: int, report: Reports) -> None:
        """Returns when the run may begin, or was ended while it waited."""
        executor = next(iter(self._node.executors))
        directory = None
        if not self._node.own_output:
            with suppress(LaunchFailed):  # the launch says so
                await place_config(self._node.inputs, self._run_id, run, self._cancel)
            directory = await asyncio.to_thread(shared_directory, place, run, self._node.root)
        waiting = self._node.slots.wait(self._run_id, position, Running(executor, directory))
        await _first_of(self._cancel, waiting.decided)
        if self._cancel.is_set() or waiting.admitted.is_set():
            return
        await report(ReportRunQueued(run_id=self._run_id, ahead=waiting.ahead), "queued")
        await _first_of(self._cancel, waiting.admitted)

    async def _assign(self, place: Place, run: Run, report: Reports) -> Loaded:
        """Takes the run for this node if it is meant for it and still free, and reads it again.

        The command id of the assignment lies in the attempt's directory before it is sent, so that a service knows its
        own assignment again, and two of the same name by mistake do not take each other's.
        """
        if self._node.answers_to(run.node):
            executor = next(iter(self._node.executors))
            command = AssignRun(run_id=self._run_id, attempt=place.attempt, node=self._node.name, executor=executor)
            await report.under(command, await asyncio.to_thread(make_assignment_id, place))
        return await load(self._node.log, RUNS, self._run_id)

    async def _supervise(self, place: Place, run: Run, report: Reports) -> bool:
        """Returns once the run's end is on record, or that its attempt failed: False, another one has to follow."""
        assert run.executor is not None
        executor = self._node.executors[run.executor]
        if run.status == "pending" and isinstance(await executor.look(place), NeverStarted):
            try:
                await place_inputs(self._node.inputs, self._run_id, run, self._cancel)
            except LaunchFailed as failure:
                return await self._report_launch_failed(place, failure.reason, report) == "over"
        plan = await asyncio.to_thread(prepare, place, run, self._node.root, own_output=self._node.own_output)
        shared = await asyncio.to_thread(os.path.realpath, self._node.root / plan.shared) if plan.shared else None
        self._node.slots.occupy(self._run_id, Running(executor.name, None if plan.output else shared))
        if run.status == "pending":
            launched = await self._launched(executor, place, plan, report)
            if launched != "runs":
                return launched == "over"
        with self._node.overlaps.using(place, shared):
            recording = Recording(place, plan, self._node.root, report, run.artifact_paths)
            await self._accompany(executor, place, plan, report, recording)
        return True

    async def _launched(
        self, executor: Executor, place: Place, plan: Plan, report: Reports
    ) -> Literal["runs", "over", "again"]:
        """`runs` also where it ran. If it is `over`, that is on record."""
        state = await executor.look(place)
        if isinstance(state, NeverStarted) and self._cancel.is_set() and await executor.prevent(place):
            await report(ReportRunEnded(run_id=self._run_id, attempt=place.attempt, exit_code=None), "ended")
            return "over"
        if isinstance(state, NeverStarted):
            try:
                given = self._node.gpus.variables(self._run_id) if self._node.gpus else {}
                await executor.launch(place, plan.argv, variables(plan) | given)
            except LaunchFailed as failure:
                if not self._tries_again(place) or await executor.prevent(place):
                    return await self._report_launch_failed(place, failure.reason, report)
            deadline = time.monotonic() + _CLAIM_WITHIN
            while isinstance(await executor.look(place), NeverStarted):
                if time.monotonic() > deadline and await executor.prevent(place):
                    return await self._report_launch_failed(place, _SILENT, report)
                await asyncio.sleep(_LAUNCH_LOOK)
        while isinstance(state := await executor.look(place), Starting):  # noqa: ASYNC110 - no task of ours
            await asyncio.sleep(_LAUNCH_LOOK)
        if isinstance(state, Ended) and state.refused is not None:
            return await self._report_launch_failed(place, state.refused, report)
        await report(ReportRunStarted(run_id=self._run_id, attempt=place.attempt), f"{place.attempt}/started")
        return "runs"

    def _tries_again(self, place: Place) -> bool:
        return place.attempt <= self._node.launch_retries and not self._cancel.is_set()

    async def _report_launch_failed(self, place: Place, reason: Reason, report: Reports) -> Literal["over", "again"]:
        if self._tries_again(place):
            again = ReportAttemptFailed(
                run_id=self._run_id, attempt=place.attempt, reason=reason.zh, reason_en=reason.en
            )
            await report(again, f"{place.attempt}/attempt_failed")
            return "again"
        final = ReportLaunchFailed(run_id=self._run_id, attempt=place.attempt, reason=reason.zh, reason_en=reason.en)
        await report(final, f"{place.attempt}/launch_failed")
        return "over"

    async def _accompany(
        self, executor: Executor, place: Place, plan: Plan, report: Reports, recording: Recording
    ) -> None:
        publisher = self._publisher(place)
        output = Output(publisher, files(place, plan, self._node.root), self._run_id, place.attempt)
        async with asyncio.TaskGroup() as group:
            group.create_task(output.follow())
            looking = group.create_task(recording.follow())
            state = await self._end_of(executor, place, plan, report)
            looking.cancel()
            await self._clear(executor, place, report)
            output.finish()
        await recording.look(ended=True)
        kept = await asyncio.to_thread(keep_output, place, publisher.committed.ends)
        await recording.record(*kept.artifacts)
        code, cause, reason = explain(state)
        if await asyncio.to_thread(overtime_mark(place).exists):
            cause, reason = "wall_time", overtime(plan.max_wall_seconds)
        ended = ReportRunEnded(
            run_id=self._run_id,
            attempt=place.attempt,
            exit_code=code,
            cause=cause,
            reason=reason.zh if reason else None,
            reason_en=reason.en if reason else None,
            output_bytes=kept.stdout.size if kept.stdout else 0,
            output_sha256=kept.stdout.sha256 if kept.stdout else None,
            stderr_bytes=kept.stderr.size if kept.stderr else 0,
            stderr_sha256=kept.stderr.sha256 if kept.stderr else None,
            telemetry=publisher.committed.sequence,
        )
        await recording.record(await asyncio.to_thread(keep_report, place, ended))
        await report(ended, f"{place.attempt}/ended")

    async def _end_of(self, executor: Executor, place: Place, plan: Plan, report: Reports) -> Ended | Lost:
        while True:
            state = await executor.look(place)
            if isinstance(state, Ended | Lost):
                return state
            if isinstance(state, NeverStarted):  # it was started, and what would tell of it is gone
                return Lost()
            left = plan.seconds_left
            if left <= 0 and not self._cancel.is_set():
                # Noted before anything is stopped: a supervisor that comes after this one has to know why it was.
                await asyncio.to_thread(overtime_mark(place).touch)
            if left <= 0 or self._cancel.is_set():
                await self._clear(executor, place, report)
                await asyncio.sleep(_LAUNCH_LOOK)  # the wrapper is about to write the exit code
                continue
            await _first_of(self._cancel, asyncio.Event(), min(_LOOK, left))

    async def _clear(self, executor: Executor, place: Place, report: Reports) -> None:
        """Returns once nothing of the run is alive; until then its end is not reported."""
        while survivors := await executor.stop(place, self._node.grace):
            _log.error("run %s cannot be stopped: pids %s are alive after KILL; trying again", self._run_id, survivors)
            # Whether it is new is for the decision to say, so no two of these are one command.
            unconfirmed = ReportStopUnconfirmed(run_id=self._run_id, attempt=place.attempt, pids=survivors)
            await report.under(unconfirmed, uuid4())
            await asyncio.sleep(_STOP_AGAIN)

    async def _give_up(self, place: Place, run: Run, report: Reports) -> None:
        """Somebody took the attempt's directory away, and with it all that would tell how the training goes on."""
        if executor := self._node.executors.get(run.executor or ""):
            await self._clear(executor, place, report)
        published = await self._publisher(place).recover()
        reason = directory_gone(place.directory)
        ended = ReportRunEnded(
            run_id=self._run_id,
            attempt=place.attempt,
            exit_code=None,
            cause="lost",
            reason=reason.zh,
            reason_en=reason.en,
            telemetry=published.sequence,
        )
        await report(ended, f"{place.attempt}/ended")

    def _publisher(self, place: Place) -> Publisher:
        return Publisher(self._node.js, self._run_id, place.attempt, place.directory / "published.json")

    async def _stop_leftovers(self, place: Place, run: Run, report: Reports) -> None:
        """A run that was declared ended while this service was away may still have processes here."""
        executor = self._node.executors.get(run.executor or "")
        if executor is not None:
            self._node.slots.occupy(self._run_id, Running(executor.name, None))
            await self._clear(executor, place, report)


async def _first_of(one: asyncio.Event, other: asyncio.Event, timeout: float | None = None) -> bool:
    """Waits until either is set, at most `timeout` seconds, and tells whether the first is."""
    waits = [asyncio.create_task(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return one.is_set()
