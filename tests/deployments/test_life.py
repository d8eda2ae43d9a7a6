"""A deployment from its request to its end, with real servers that behave as badly as they may."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.deployments import RestartDeployment, StateQuestion
from contracts.problems import Refused
from events.deployments import (
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentPlaced,
    DeploymentRemoved,
    DeploymentRequested,
    DeploymentStarted,
    DeploymentStopped,
    DeploymentStopRequested,
    DeploymentStopUnconfirmed,
)
from services.deployment import clearing
from services.deployment.answering import Answers
from services.runtime.children.processes import identity_of
from services.runtime.nodes.gpus import Device, GpuProcess, SharedLook
from tests.deployments.place import GIB, GpusTwin, Place, origin
from tests.training.ledger import until

pytestmark = pytest.mark.slow


def environment(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        pairs = (entry.decode().partition("=") for entry in file.read().split(b"\0") if entry)
        return {name: value for name, _, value in pairs}


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        status: int = answer.status
        return status


@contextmanager
def somebody() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any of this."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_model_is_served_and_nothing_of_it_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINLEDGER_SECRET", "x")
    monkeypatch.setenv("VLLM_PORT", "1")
    place.gpus.free = [10, 70]
    async with place.served():
        deployment_id = await place.create(preferred_gpu=5, extra_args="--say '$(id) ; x'")
        placed = await place.fact(deployment_id, DeploymentPlaced)
        await place.fact(deployment_id, DeploymentStarted)
        assert (placed.gpu_id, placed.gpu_uuid, placed.preference) == (1, "GPU-1", "unknown")
        assert await place.held() == {deployment_id: placed.port}
        assert await asyncio.to_thread(status_of, f"http://127.0.0.1:{placed.port}/health") == 200
        launched = (await place.state(deployment_id)).launched
        assert launched is not None
        given = environment(launched.pid)
        assert (given["CUDA_VISIBLE_DEVICES"], given["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")
        assert given["TRAINLEDGER_DEPLOYMENT"] == f"{deployment_id}/1"
        assert not {"TRAINLEDGER_SECRET", "VLLM_PORT"} & given.keys()
        assert place.said(deployment_id) == "serving models/qwen2.5 $(id) ; x\n"

        await place.remove(deployment_id)
        await place.fact(deployment_id, DeploymentRemoved)
        assert not place.pids(deployment_id)
        assert await place.held() == {}
    assert [type(fact) for fact in await place.facts(deployment_id)] == [
        DeploymentRequested,
        DeploymentPlaced,
        DeploymentLaunched,
        DeploymentStarted,
        DeploymentStopRequested,
        DeploymentStopped,
        DeploymentRemoved,
    ]


async def test_a_missing_binary_fails_with_the_reason(place: Place) -> None:
    place.settings["template"] = "no-such-binary {model_path}"
    async with place.served():
        deployment_id = await place.create(restart_policy="on-failure")
        failed = await place.fact(deployment_id, DeploymentFailed)
        [told] = (await Answers(place.node()).states(StateQuestion(ids=(deployment_id,)), 10_000)).states
    assert (told.status, told.pid, told.exit_code, told.failure_cause) == ("failed", None, 127, "launch")
    assert told.failure_reason == failed.reason
    assert (failed.cause, failed.exit_code) == ("launch", 127)
    assert "no-such-binary" in failed.reason


async def test_a_slow_load_is_waited_for_and_one_that_never_ends_is_not(place: Place) -> None:
    place.settings |= {"start_seconds": 5.0, "liveness_seconds": 0.2}
    async with place.served():
        slow = await place.create(extra_args="--load-seconds 1.5")
        never = await place.create(extra_args="--never-healthy")
        await place.fact(slow, DeploymentStarted)
        failed = await place.fact(never, DeploymentFailed)
        assert failed.cause == "start_timeout"
        assert not place.pids(never)
        assert (await place.state(slow)).status == "running"


async def test_a_server_that_stays_ill_is_started_again(place: Place) -> None:
    place.settings["liveness_seconds"] = 0.5
    ill = place.data / "ill"
    async with place.served():
        deployment_id = await place.create(restart_policy="on-failure", extra_args=f"--ill-file {ill}")
        await place.fact(deployment_id, DeploymentStarted)
        ill.touch()
        ended = await place.fact(deployment_id, DeploymentAttemptEnded)
        ill.unlink()
        await place.fact(deployment_id, DeploymentStarted, 2)
    assert (ended.cause, ended.failures, ended.retry_after) == ("unhealthy", 1, 1.0)
    assert not place.pids(deployment_id, 1)
    assert place.pids(deployment_id, 2)


async def test_failures_before_long_service_do_not_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.deployment.closing._STEADY", 0.0)
    place.settings["liveness_seconds"] = 0.5
    ill = place.data / "ill"
    async with place.served():
        deployment_id = await place.create(restart_policy="on-failure", extra_args=f"--ill-file {ill}")
        for number in (1, 2):
            await place.fact(deployment_id, DeploymentStarted, number)
            ill.touch()
            ended = await place.fact(deployment_id, DeploymentAttemptEnded, number)
            ill.unlink()
            assert (ended.cause, ended.failures) == ("unhealthy", 1)


async def test_a_crash_takes_what_left_the_session_along(place: Place) -> None:
    async with place.served():
        deployment_id = await place.create(extra_args="--own-session-worker")
        await place.fact(deployment_id, DeploymentStarted)
        launched = await place.fact(deployment_id, DeploymentLaunched)
        await until(lambda: len(place.pids(deployment_id)) == 2)
        os.kill(launched.pid, signal.SIGKILL)
        failed = await place.fact(deployment_id, DeploymentFailed)
        assert not place.pids(deployment_id)
        await until_released(place)
    assert (failed.cause, failed.exit_code) == ("signal", 137)


async def until_released(place: Place) -> None:
    async with asyncio.timeout(60):
        while await place.held():  # noqa: ASYNC110 - it follows the fact that a test waited for
            await asyncio.sleep(0.02)


async def test_what_ignores_term_stays_until_it_is_forced(place: Place) -> None:
    place.settings["stop_seconds"] = 0.3
    async with place.served():
        deployment_id = await place.create(extra_args="--ignore-term")
        await place.fact(deployment_id, DeploymentStarted)
        await place.remove(deployment_id)
        unconfirmed = await place.fact(deployment_id, DeploymentStopUnconfirmed)
        assert set(unconfirmed.pids) == place.pids(deployment_id)
        assert (await place.state(deployment_id)).status == "stopping"
        await place.remove(deployment_id, force=True)
        stopped = await place.fact(deployment_id, DeploymentStopped)
    assert (stopped.cause, stopped.exit_code) == ("asked", 137)


async def test_a_forced_end_is_forced_by_whichever_service_comes_to_it(place: Place) -> None:
    place.settings["stop_seconds"] = 0.3
    async with place.served():
        deployment_id = await place.create(extra_args="--ignore-term")
        await place.fact(deployment_id, DeploymentStarted)
    await place.remove(deployment_id, force=True)
    async with place.served():
        await place.fact(deployment_id, DeploymentRemoved)
    assert not place.pids(deployment_id)


async def test_a_port_that_a_stranger_took_meanwhile_costs_another_try(place: Place) -> None:
    async with place.served():
        deployment_id = await place.create(extra_args="--load-seconds 1")
        first = await place.fact(deployment_id, DeploymentPlaced)
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", first.port))
            stranger.listen()
            ended = await place.fact(deployment_id, DeploymentAttemptEnded)
            second = await place.fact(deployment_id, DeploymentPlaced, 2)
            await place.fact(deployment_id, DeploymentStarted)
    assert (ended.cause, ended.failures) == ("port_taken", 0)
    assert second.port != first.port
    assert await place.held() == {deployment_id: second.port}


async def test_what_an_earlier_attempt_said_of_its_port_is_not_said_by_the_next(place: Place) -> None:
    said = place.data / "said"
    command = f"if mkdir {said}; then echo Errno 98: address already in use; else echo broken; fi; exit 3"
    script = place.data / "serve.sh"
    script.write_text(command)
    place.settings["template"] = f"bash {script} {{model_path}} {{port}}"
    async with place.served():
        deployment_id = await place.create()
        ended = await place.fact(deployment_id, DeploymentAttemptEnded)
        failed = await place.fact(deployment_id, DeploymentFailed)
    assert (ended.cause, "报告" in ended.reason) == ("port_taken", True)
    assert (failed.cause, failed.attempt, failed.exit_code) == ("exit", 2, 3)


async def test_a_strangers_answer_is_not_the_servers(place: Place) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            asked.append(self.path)

        def log_message(self, *_: object) -> None:
            return

    asked: list[str] = []
    async with place.served():
        deployment_id = await place.create(extra_args="--load-seconds 600", health_path="/v1/models?x=1")
        placed = await place.fact(deployment_id, DeploymentPlaced)
        with ThreadingHTTPServer(("127.0.0.1", placed.port), Handler) as stranger:
            Thread(target=stranger.serve_forever, daemon=True).start()
            await until(lambda: len(asked) > 2)
            stranger.shutdown()
        await place.fact(deployment_id, DeploymentLaunched)
        assert (await place.state(deployment_id)).status == "starting"
    assert set(asked) == {"/v1/models?x=1"}


async def test_a_server_is_healthy_through_what_serves_in_its_name(place: Place) -> None:
    """As where an engine publishes a container's port: nothing tells whose the listening process is."""
    async with place.served():
        deployment_id = await place.create(extra_args="--serve-apart")
        await place.fact(deployment_id, DeploymentStarted)
        [listening] = [int(line) for line in place.said(deployment_id).splitlines()[1:]]
        assert listening not in place.pids(deployment_id)
        await place.remove(deployment_id)
        await place.fact(deployment_id, DeploymentRemoved)


async def test_servers_outlive_the_service_and_are_found_again(place: Place) -> None:
    async with place.served():
        kept, crashed = await place.create(), await place.create()
        await place.fact(kept, DeploymentStarted)
        await place.fact(crashed, DeploymentStarted)
    before, pids = await place.facts(kept), place.pids(kept)
    os.kill((await place.fact(crashed, DeploymentLaunched)).pid, signal.SIGKILL)
    async with place.served() as consumer:
        assert (await place.fact(crashed, DeploymentFailed)).exit_code == 137
        await until(lambda: consumer.live == (kept,))
        assert place.pids(kept) == pids
        assert await place.facts(kept) == before
    (place.data / "deployment.json").unlink()  # its checkpoint is lost: facts are seen again, nothing is done again
    async with place.served() as consumer:
        await until(lambda: kept in consumer.live)
        await place.remove(kept)
        await place.fact(kept, DeploymentRemoved)
    assert await place.held() == {}


async def test_a_restart_is_a_new_server_at_the_same_port(place: Place) -> None:
    async with place.served():
        deployment_id = await place.create(extra_args="--own-session-worker")
        first = await place.fact(deployment_id, DeploymentPlaced)
        await place.fact(deployment_id, DeploymentStarted)
        await place.dispatch(RestartDeployment(deployment_id=deployment_id), origin())
        await place.fact(deployment_id, DeploymentStarted, 2)
        assert not place.pids(deployment_id, 1)
        assert (await place.fact(deployment_id, DeploymentPlaced, 2)).port == first.port


async def test_a_restart_follows_a_gpu_to_its_new_index(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_MEMORY_WITHIN", 0.2)
    place.gpus.free = [70, 80]
    async with place.served():
        deployment_id = await place.create(preferred_gpu=1)
        assert (await place.fact(deployment_id, DeploymentPlaced)).gpu_uuid == "GPU-1"
        place.gpus.uuids = ["GPU-1", "GPU-2"]
        await place.dispatch(RestartDeployment(deployment_id=deployment_id), origin())
        placed = await place.fact(deployment_id, DeploymentPlaced, 2)
        assert f"GPU-{placed.gpu_id + 1}" == placed.gpu_uuid  # type: ignore[operator]
        place.gpus.free = []  # the driver is not there yet
        await place.dispatch(RestartDeployment(deployment_id=deployment_id), origin())
        assert (await place.fact(deployment_id, DeploymentPlaced, 3)).gpu_uuid == placed.gpu_uuid


async def test_what_failed_is_restarted_on_request(place: Place) -> None:
    async with place.served():
        deployment_id = await place.create(extra_args="--die-after 0.1 --exit-code 3 --load-seconds 5")
        assert (await place.fact(deployment_id, DeploymentFailed)).exit_code == 3
        await until_released(place)
        await place.dispatch(RestartDeployment(deployment_id=deployment_id), origin())
        assert (await place.fact(deployment_id, DeploymentFailed, 2)).attempt == 2


@pytest.mark.parametrize("policy", ["never", "on-failure"])
async def test_after_a_restart_of_the_machine(place: Place, policy: str) -> None:
    """A pid of the old boot may be anybody's now."""
    async with place.served():
        deployment_id = await place.create(restart_policy=policy)
        await place.fact(deployment_id, DeploymentStarted)
    attempt = place.node().attempt(deployment_id, 1)
    os.kill((await place.fact(deployment_id, DeploymentLaunched)).pid, signal.SIGKILL)
    await until((attempt.directory / "exit").exists)
    with somebody() as stranger:
        (attempt.directory / "exit").unlink()
        for name in ("pid", "started/wrapper"):
            (attempt.directory / name).write_text(f"{stranger.pid} 1 an-earlier-boot")
        async with place.served():
            if policy == "never":
                assert (await place.fact(deployment_id, DeploymentStopped)).cause == "machine_restart"
            else:
                assert (await place.fact(deployment_id, DeploymentAttemptEnded)).cause == "machine_restart"
                await place.fact(deployment_id, DeploymentStarted, 2)
        assert stranger.poll() is None


async def test_a_reused_pid_is_never_signalled(place: Place) -> None:
    async with place.served():
        deployment_id = await place.create()
        await place.fact(deployment_id, DeploymentStarted)
    attempt = place.node().attempt(deployment_id, 1)
    os.kill((await place.fact(deployment_id, DeploymentLaunched)).pid, signal.SIGKILL)
    await until((attempt.directory / "exit").exists)
    with somebody() as stranger:
        (attempt.directory / "exit").unlink()
        _, start, boot = (attempt.directory / "pid").read_text().split()
        (attempt.directory / "pid").write_text(f"{stranger.pid} {start} {boot}")
        async with place.served():
            await place.remove(deployment_id, force=True)
            await place.fact(deployment_id, DeploymentRemoved)
        assert stranger.poll() is None


async def test_it_is_stopped_once_the_gpus_memory_is_back(place: Place) -> None:
    place.gpus.free = [80]
    async with place.served():
        deployment_id = await place.create()
        await place.fact(deployment_id, DeploymentStarted)
        pid = (await place.fact(deployment_id, DeploymentLaunched)).pid
        place.gpus.processes[0] = (GpuProcess(pid, 20 * GIB),)
        await place.remove(deployment_id)
        await until(lambda: not place.pids(deployment_id))
        assert (await place.state(deployment_id)).status == "stopping"
        place.gpus.processes.clear()
        await place.fact(deployment_id, DeploymentStopped)


async def test_a_driver_that_never_gives_memory_back_is_not_waited_for_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "_MEMORY_WITHIN", 0.5)
    place.gpus.free = [80]
    async with place.served():
        deployment_id = await place.create()
        place.gpus.processes[0] = (GpuProcess((await place.fact(deployment_id, DeploymentLaunched)).pid, GIB),)
        await place.remove(deployment_id)
        stopped = await place.fact(deployment_id, DeploymentStopped)
        assert await place.held() == {}
    assert not stopped.memory_free


async def test_memory_of_whoever_has_the_pid_by_now_is_not_waited_for(place: Place) -> None:
    here = identity_of(os.getpid())
    assert here is not None
    place.gpus.free = [80]
    place.gpus.processes[0] = (GpuProcess(here.pid, GIB),)
    async with asyncio.timeout(10):
        assert await clearing.memory_back(SharedLook(place.gpus), "GPU-0", [replace(here, start=here.start - 1)])


async def test_a_driver_that_hangs_takes_one_thread(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_MEMORY_WITHIN", 0.1)
    answering, asked = Event(), []

    class Hung(GpusTwin):
        def devices(self) -> tuple[Device, ...]:
            asked.append(1)
            answering.wait(30)
            return super().devices()

    look = SharedLook(Hung(80))
    here = identity_of(os.getpid())
    assert here is not None
    assert not any(await asyncio.gather(*(clearing.memory_back(look, "GPU-0", [here]) for _ in range(50))))
    assert len(asked) == 1
    answering.set()
    assert [device.gpu.uuid for device in await look()] == ["GPU-0"]
    await look()
    assert len(asked) == 2


async def test_two_at_once_never_get_the_same(place: Place) -> None:
    place.gpus.free = [80, 80]
    async with place.served():
        both = await asyncio.gather(place.create(exclusive=True), place.create(exclusive=True))
        placed = [await place.fact(deployment_id, DeploymentPlaced) for deployment_id in both]
        assert {fact.gpu_id for fact in placed} == {0, 1}
        assert len({fact.port for fact in placed}) == 2
        with pytest.raises(Refused) as refused:
            await place.create(gpu_required=True)
    assert refused.value.code == "no_gpu"


async def test_the_last_port_is_one_deployments(place: Place) -> None:
    place.ports = place.ports[:1]
    both = await asyncio.gather(place.create(), place.create())  # before anybody serves: both find the port free
    async with place.served():
        async with asyncio.timeout(60):
            while not [one for one in both if (await place.state(one)).status == "failed"]:  # noqa: ASYNC110 - either
                await asyncio.sleep(0.02)
        [failed] = [one for one in both if (await place.state(one)).status == "failed"]
        [kept] = set(both) - {failed}
        await place.fact(kept, DeploymentStarted)
        assert (await place.fact(failed, DeploymentFailed)).cause == "no_port"
        with pytest.raises(Refused) as refused:
            await place.create()
    assert refused.value.code == "no_free_port"


async def test_its_state_is_that_of_its_process(place: Place) -> None:
    """Also while nobody supervises it."""
    async with place.served():
        deployment_id = await place.create(extra_args="--say bye")
        await place.fact(deployment_id, DeploymentStarted)
    answers, question = Answers(place.node()), StateQuestion(ids=(deployment_id, UUID(int=1)))
    [state, unknown] = (await answers.states(question, 1_000)).states
    pid = (await place.fact(deployment_id, DeploymentLaunched)).pid
    assert (state.status, state.pid, state.health_ok) == ("running", pid, True)
    assert unknown.status is None
    os.kill(pid, signal.SIGKILL)
    await until((place.node().attempt(deployment_id, 1).directory / "exit").exists)
    [state, _] = (await answers.states(question, 1_000)).states
    assert (state.status, state.pid, state.health_ok) == ("failed", None, False)
    async with place.served():
        await place.fact(deployment_id, DeploymentFailed)
    [state, _] = (await answers.states(question, 1_000)).states
    assert state.log_tail == ("serving models/qwen2.5 bye",)
    [state, _] = (await answers.states(question, 64)).states
    assert state.log_tail == ("bye",)
