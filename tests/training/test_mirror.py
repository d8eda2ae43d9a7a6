"""What comes over from a container, by whatever the engine says beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from services.training.executors.mirror import Mirror
from tests.training.ledger import BOUND


class Message(NamedTuple):
    stream: int
    data: bytes


class Execution:
    """One exec: what its stream says, and its exit code."""

    def __init__(self, said: Sequence[bytes], code: int) -> None:
        self._said = list(said)
        self._code = code

    def start(self, *, detach: bool) -> Execution:
        assert not detach
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def read_out(self) -> Message | None:
        return Message(1, self._said.pop(0)) if self._said else None

    async def inspect(self) -> dict[str, Any]:
        return {"ExitCode": self._code}


class Container:
    def __init__(self, *executions: Execution) -> None:
        self._executions = list(executions)
        self.commands: list[Sequence[str]] = []

    async def exec(self, command: Sequence[str]) -> Execution:
        self.commands.append(command)
        return self._executions.pop(0)


async def test_what_the_engine_says_itself_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exec that begins while its container is stopped says so where the wrapper would speak."""
    monkeypatch.setattr("services.training.executors.mirror._AGAIN", 0.0)
    copy = tmp_path / "out.log"
    container = Container(
        Execution([b"running 3\nab"], 137),
        Execution([b"cannot exec in a stopped container\r\n"], 126),
        Execution([b"OCI runtime exec failed: exec failed: unable to start container process\r\n"], 127),
        Execution([b"running 2", b"\nc\nended 0\n"], 0),
    )
    mirror = Mirror("/run", ".", {"/run/out.log": copy})
    assert await mirror.state(container) == "running"  # type: ignore[arg-type]
    async with asyncio.timeout(BOUND):
        while await mirror.state(container) != "ended":  # type: ignore[arg-type]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert copy.read_bytes() == b"abc\n"
    assert [command[-1] for command in container.commands] == ["0", "2", "2", "2"]
    await mirror.close()
