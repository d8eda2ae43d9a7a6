"""What every executor does. A subclass gives the fixture `bench`; pids are those that the commands see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from services.runtime.children import Ended, LaunchFailed, Lost, NeverStarted, Reason, Running, State
from services.training.executors import Executor, Place
from tests.training.ledger import BOUND

NO_SCRIPT = "there is no such script, or it cannot be read"
TREE = """
trap '' TERM
setsid bash -c 'trap "" TERM; echo $$ >> pids; sleep 600' &
env -u TRAINLEDGER_RUN bash -c 'trap "" TERM; echo $$ >> pids; sleep 600' &
echo $$ >> pids
wait
sleep 600
"""


class Bench:
    """An executor and where its commands start, as this host sees it. `make` gives another one for the same runs."""

    def __init__(self, make: Callable[[], Executor], workdir: Path, runs: Path) -> None:
        self.make = make
        self.executor = make()
        self.workdir = workdir
        self.runs = runs

    def place(self) -> Place:
        run_id = uuid4()
        return Place(run_id, 1, self.runs / str(run_id) / "1")

    async def launch(self, *argv: str, **variables: str) -> Place:
        place = self.place()
        await self.executor.launch(place, argv, variables)
        return place

    async def becomes(self, place: Place, *kinds: type[State]) -> State:
        async with asyncio.timeout(BOUND):
            while not isinstance(state := await self.executor.look(place), kinds):  # noqa: ASYNC110 - processes are waited for
                await asyncio.sleep(0.02)
        return state

    async def pids(self, count: int) -> list[str]:
        """As the command wrote them into `pids`."""
        file = self.workdir / "pids"
        async with asyncio.timeout(BOUND):
            while not file.exists() or len(file.read_text().split()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return file.read_text().split()

    def alive(self, pid: str) -> bool:
        return alive(Path(f"/proc/{pid}/stat").read_text) if Path(f"/proc/{pid}").exists() else False

    def kill(self, pids: list[str]) -> None:
        raise NotImplementedError


def alive(read_stat: Callable[[], str]) -> bool:
    try:
        return read_stat().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class ExecutorSuite:
    async def test_the_command_finds_its_own_configuration(self, bench: Bench) -> None:
        place = bench.place()
        place.directory.mkdir(parents=True)
        content = "a: 你好\n" * 50_000  # more than fits into an argument
        (place.directory / "config.yaml").write_text(content)
        await bench.executor.launch(place, ("bash", "-c", 'cp "$TRAINLEDGER_CONFIG_FILE" used'), {})
        assert await bench.becomes(place, Ended) == Ended(0)
        assert (bench.workdir / "used").read_text() == content

    async def test_the_command_runs_in_its_directory_and_leaves_output_and_code(self, bench: Bench) -> None:
        place = await bench.launch(
            "bash", "-c", 'pwd > where; echo "$A 你好"; echo b >&2; echo $TRAINLEDGER_RUN; exit 7', A="a b; $(c)"
        )
        assert await bench.becomes(place, Ended, Lost) == Ended(7)
        assert place.output.read_text() == f"a b; $(c) 你好\n{place.key}\n"
        assert place.errors.read_text() == "b\n"
        assert (bench.workdir / "where").exists()

    async def test_arguments_arrive_as_they_are(self, bench: Bench) -> None:
        odd = ["a b", "$HOME", "`id`", "*", "", "-n", "x\ny", "'\"", "configs/a.yaml; rm -rf /"]
        place = await bench.launch("printf", "%s|", *odd)
        assert await bench.becomes(place, Ended, Lost) == Ended(0)
        assert place.output.read_text() == "".join(f"{word}|" for word in odd)

    async def test_it_is_launched_once_however_often_asked(self, bench: Bench) -> None:
        place = bench.place()
        for executor in (bench.executor, bench.make()):
            await asyncio.gather(
                *(executor.launch(place, ("bash", "-c", "echo x >> launches; sleep 0.3"), {}) for _ in range(4))
            )
        assert await bench.becomes(place, Ended, Lost) == Ended(0)
        await bench.executor.launch(place, ("bash", "-c", "echo x >> launches"), {})
        assert await bench.executor.look(place) == Ended(0)
        assert (bench.workdir / "launches").read_text() == "x\n"

    async def test_what_was_prevented_never_starts(self, bench: Bench) -> None:
        place = bench.place()
        assert isinstance(await bench.executor.look(place), NeverStarted)
        assert await bench.executor.prevent(place)
        await bench.executor.launch(place, ("bash", "-c", "touch launched"), {})
        assert isinstance(await bench.executor.look(place), NeverStarted)
        assert await bench.executor.prevent(place)
        assert not (bench.workdir / "launched").exists()

    async def test_what_runs_cannot_be_prevented(self, bench: Bench) -> None:
        place = await bench.launch("sleep", "600")
        await bench.becomes(place, Running)
        assert not await bench.executor.prevent(place)
        assert await bench.executor.stop(place, 0.2) == ()

    @pytest.mark.parametrize(
        ("argv", "reason"),
        [
            (("bash", "missing.sh", "a.yaml"), Reason("脚本不存在或不可读：missing.sh", f"{NO_SCRIPT}: missing.sh")),
            (("bash", "."), Reason("脚本不存在或不可读：.", f"{NO_SCRIPT}: .")),
            (("no-such-command",), Reason("找不到命令：no-such-command", "there is no such command: no-such-command")),
        ],
    )
    async def test_what_cannot_start_says_why(self, bench: Bench, argv: tuple[str, ...], reason: Reason) -> None:
        place = await bench.launch(*argv)
        assert await bench.becomes(place, Ended, Lost) == Ended(127, reason)

    async def test_a_script_without_interpreter_says_so(self, bench: Bench) -> None:
        script = bench.workdir / "odd"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        place = await bench.launch("./odd")
        assert await bench.becomes(place, Ended, Lost) == Ended(
            126, Reason("无法执行命令：./odd", "the command cannot be executed: ./odd")
        )

    async def test_a_signal_shows_in_the_code(self, bench: Bench) -> None:
        place = await bench.launch("bash", "-c", "kill -KILL $$")
        assert await bench.becomes(place, Ended, Lost) == Ended(137)

    async def test_stop_ends_a_tree_that_ignores_term_and_left_its_session(self, bench: Bench) -> None:
        place = await bench.launch("bash", "-c", TREE)
        pids = await bench.pids(3)
        assert all(bench.alive(pid) for pid in pids)
        assert await bench.executor.stop(place, 0.3) == ()
        assert not any(bench.alive(pid) for pid in pids)
        assert await bench.becomes(place, Ended, Lost) == Ended(137)
        assert await bench.executor.stop(place, 0.3) == ()

    async def test_stop_lets_a_command_end_by_itself(self, bench: Bench) -> None:
        place = await bench.launch(
            "bash", "-c", "trap 'echo saved; exit 5' TERM; echo $$ > pids; while :; do sleep 0.05; done"
        )
        await bench.pids(1)
        assert await bench.executor.stop(place, 10) == ()
        assert await bench.becomes(place, Ended, Lost) == Ended(5)
        assert place.output.read_text().endswith("saved\n")

    async def test_another_executor_finds_what_runs_and_what_ended(self, bench: Bench) -> None:
        place = await bench.launch("bash", "-c", "until [ -e gate ]; do sleep 0.02; done; exit 3")
        await bench.becomes(place, Running)
        bench.executor = bench.make()
        await bench.becomes(place, Running)
        (bench.workdir / "gate").touch()
        assert await bench.becomes(place, Ended, Lost) == Ended(3)

    async def test_what_was_killed_with_its_wrapper_is_lost(self, bench: Bench) -> None:
        place = await bench.launch("bash", "-c", "echo $$ $PPID > pids; exec sleep 600")
        command, wrapper = await bench.pids(2)
        bench.kill([wrapper, command])
        assert isinstance(await bench.becomes(place, Ended, Lost), Lost)

    async def test_a_working_directory_that_is_gone_says_so(self, bench: Bench) -> None:
        bench.workdir.rmdir()
        try:
            place = await bench.launch("true")
        except LaunchFailed:
            return
        state = await bench.becomes(place, Ended, Lost)
        assert isinstance(state, Ended)
        assert state.refused is not None
        assert "工作目录不存在" in state.refused.zh
        assert "no such working directory" in state.refused.en
