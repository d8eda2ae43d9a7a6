"""A run that prints what a test says, as the training service would publish it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import msgspec

from contracts import subjects
from contracts.runs import RecordArtifact, ReportRunEnded
from contracts.telemetry import LogLine, MetricPoint, TelemetryBatch
from tests.edge.conftest import World, eventually

TIME = 1_700_000_000.0  # 2023-11-14T22:13:20


class TellingRun:
    """Lines of ten bytes; line n is printed n seconds after TIME. `path` is that of the run."""

    def __init__(self, world: World, http: httpx.AsyncClient, detail: dict[str, Any]) -> None:
        self.id = UUID(detail["id"])
        self.path = f"/projects/qwen-finetune/runs/{self.id}"
        self._world = world
        self._http = http
        self._count = 0
        self._position = 0

    async def say(self, *messages: str, level: Any = "INFO", **values: float) -> None:
        """One batch; its values are metrics that stand in its last line, whose number is their step."""
        first, self._count = self._count, self._count + len(messages)
        lines = tuple(
            LogLine(10 * number, TIME + number, level, message) for number, message in enumerate(messages, first)
        )
        last = self._count - 1
        points = tuple(MetricPoint(10 * last, TIME + last, name, value, last) for name, value in values.items())
        batch = TelemetryBatch(
            run_id=self.id, attempt=1, start=10 * first, end=10 * self._count, lines=lines, points=points
        )
        ack = await self._world.nc.jetstream().publish(subjects.telemetry(self.id, 1), msgspec.json.encode(batch))
        self._position = ack.seq

    async def end(self, exit_code: int = 0) -> None:
        """Returns once it is to be seen."""
        await self._world.training.report(
            ReportRunEnded(
                run_id=self.id,
                attempt=1,
                exit_code=exit_code,
                output_bytes=10 * self._count,
                stderr_bytes=5,
                telemetry=self._position,
            )
        )

        async def ended() -> bool:
            return bool((await self._http.get(self.path)).json()["completed_at"])

        await eventually(ended)

    async def shown(self) -> None:
        """Returns once everything said is to be seen."""

        async def all_there() -> bool:
            answer = await self._http.get(self.path + "/logs", params={"limit": 1})
            return bool(answer.json()["total"] >= 2 + self._count)

        await eventually(all_there)

    async def leave(self, name: str, kind: str, path: str, **fields: Any) -> None:
        """An artifact."""
        command = RecordArtifact(run_id=self.id, name=name, type=kind, path=path, **fields)
        await self._world.training.report(command)
        position = await self._world.parts.log.last_position()
        assert await self._world.parts.edge.reads.passed(position, 10)


async def telling(world: World, http: httpx.AsyncClient) -> TellingRun:
    started = await http.post("/projects/qwen-finetune/runs")
    assert started.status_code == 201, started.text
    return TellingRun(world, http, started.json())
