"""Lost rows of a run come back from the raw output that its node has kept."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import delete, select

from contracts import subjects
from contracts.runs import RecordArtifact, ReportRunEnded
from contracts.telemetry import TelemetryBatch
from projections.tables import logs, metrics
from services.administration.logs import show
from services.cli import main
from services.runtime.nodes.files import NodeFiles
from services.runtime.settings import Settings
from services.training.files import Files, answer_file_questions
from services.training.parsers import OutputParser
from services.training.refilling import CannotRefill, refill
from tests.edge.conftest import World, eventually
from tests.edge.stand_in import NODE

OUTPUT = (
    b"".join(b"step %d\r\n{'loss': %.2f, 'epoch': 0.1}\n" % (number, 9 / (number + 1)) for number in range(3_000))
    + "末行 without an end".encode()
)


@pytest.fixture
async def runs(world: World, tmp_path: Path) -> AsyncIterator[Path]:
    files = Files(world.parts.log, tmp_path / "training", tmp_path / "runs")
    subscription = await answer_file_questions(world.nc, NODE, files)
    await world.nc.flush()
    yield tmp_path / "runs"
    await subscription.unsubscribe()


@pytest.fixture
async def run_id(world: World, http: httpx.AsyncClient, qwen: dict[str, object]) -> UUID:
    return UUID((await http.post("/projects/qwen-finetune/runs")).json()["id"])


async def end(world: World, run_id: UUID, runs: Path, *, recorded: bool = True) -> Path:
    """The run printed OUTPUT and ended."""
    kept = runs / str(run_id) / "1" / "out.log"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(OUTPUT)
    parser, position = OutputParser(), 0
    for parsed in (parser.feed(OUTPUT, 1.7e9), parser.finish(1.7e9)):
        batch = TelemetryBatch(
            run_id=run_id, attempt=1, start=parsed.start, end=parsed.end, lines=parsed.lines, points=parsed.points
        )
        for part in halves(batch):
            ack = await world.nc.jetstream().publish(subjects.telemetry(run_id, 1), msgspec.json.encode(part))
            position = ack.seq
    sha256 = hashlib.sha256(OUTPUT).hexdigest()
    if recorded:
        await world.training.report(
            RecordArtifact(run_id=run_id, name="out.log", type="log", path=str(kept), size=len(OUTPUT), sha256=sha256)
        )
    await world.training.report(
        ReportRunEnded(
            run_id=run_id,
            attempt=1,
            exit_code=0,
            output_bytes=len(OUTPUT),
            output_sha256=sha256,
            telemetry=position,
        )
    )
    assert await world.parts.edge.reads.passed(await world.parts.log.last_position(), 20)
    return kept


def halves(batch: TelemetryBatch) -> list[TelemetryBatch]:
    if len(batch.lines) < 1_000:
        return [batch]
    middle = batch.lines[len(batch.lines) // 2].offset

    def part(start: int, stop: int) -> TelemetryBatch:
        lines = tuple(line for line in batch.lines if start <= line.offset < stop)
        points = tuple(point for point in batch.points if start <= point.offset < stop)
        return msgspec.structs.replace(batch, start=start, end=stop, lines=lines, points=points)

    return [*halves(part(batch.start, middle)), *halves(part(middle, batch.end))]


def rows(world: World) -> list[Any]:
    with world.database.reading() as connection:
        found: list[Any] = []
        for table in (logs, metrics):
            columns = [column for column in table.columns if column.name not in ("time", "stored_at")]
            found += connection.execute(select(*columns).order_by(*table.primary_key.columns)).all()
        return found


async def test_lost_rows_come_back(world: World, run_id: UUID, runs: Path, http: httpx.AsyncClient) -> None:
    await end(world, run_id, runs)
    whole = rows(world)
    assert len(whole) > 9_000
    with world.database.writing() as connection:
        connection.execute(delete(logs).where(logs.c.byte_offset > 5_000))
        connection.execute(delete(metrics))
    files = NodeFiles(world.nc)
    done = await refill(world.nc, world.parts.log, files, run_id)
    assert done.lines == 6_001

    async def filled() -> bool:
        return rows(world) == whole

    await eventually(filled)
    answer = await http.get(f"/projects/qwen-finetune/runs/{run_id}/logs", params={"tail": 2})
    assert answer.json()["total"] == 2 + 6_001 + 1
    assert answer.json()["entries"][0]["message"] == "末行 without an end"


async def test_what_is_not_the_recorded_output_fills_nothing(world: World, run_id: UUID, runs: Path) -> None:
    files = NodeFiles(world.nc)
    with pytest.raises(CannotRefill, match="has not ended"):
        await refill(world.nc, world.parts.log, files, run_id)
    kept = await end(world, run_id, runs)
    whole = rows(world)
    kept.write_bytes(OUTPUT.replace(b"step 7", b"step 8"))
    with pytest.raises(CannotRefill, match="SHA-256"):
        await refill(world.nc, world.parts.log, files, run_id)
    kept.unlink()
    with pytest.raises(CannotRefill, match="missing"):
        await refill(world.nc, world.parts.log, files, run_id)
    assert rows(world) == whole


async def test_an_output_that_was_not_recorded_is_said_so(world: World, run_id: UUID, runs: Path) -> None:
    await end(world, run_id, runs, recorded=False)
    with pytest.raises(CannotRefill, match="not recorded"):
        await refill(world.nc, world.parts.log, NodeFiles(world.nc), run_id)


async def test_the_command_line_shows_a_log(
    world: World, run_id: UUID, runs: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await end(world, run_id, runs)
    assert await show(settings, Namespace(run_id=str(run_id))) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2 + 6_001 + 1
    assert shown[2].endswith(" INFO step 0")
    assert shown[-1].endswith(" INFO 训练已完成")


@pytest.mark.parametrize("action", ["show", "refill"])
def test_the_command_line_refuses_what_is_no_run(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["logs", action, "nonsense", "--data-dir", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "There is no run nonsense\n"
