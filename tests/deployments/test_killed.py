"""Killed at any moment: no process, no port and no lease is left, and each history can be read."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.deployments import DeploymentLaunched, DeploymentPlaced, DeploymentRemoved, DeploymentStarted
from services.runtime.handover import encode
from services.runtime.settings import Settings
from tests.deployments.place import TEMPLATE, Place
from tests.ports import free_ports

_PROGRAM = Path(__file__).with_name("service_process.py")
_PORTS = 4


class Service:
    """The deployment service of a place."""

    def __init__(self, place: Place, url: str) -> None:
        first = free_ports(_PORTS)
        place.ports = tuple(range(first, first + _PORTS))
        self._settings = encode(
            Settings(
                nats_url=url,
                data_dir=place.data,
                host_training_dir=place.data,
                deploy_log_dir=place.data / "deploy_logs",
                node=place.name,
                vllm_cmd_template=TEMPLATE,
                deploy_ports=f"{first}-{first + _PORTS - 1}",
                deploy_stop_seconds=1.0,
            )
        )
        self._log = place.data / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, _PROGRAM, self._settings], stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()


@pytest.fixture
def service(place: Place, nats_url: str) -> Iterator[Service]:
    made = Service(place, nats_url)
    yield made
    made.kill()


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=[pytest.mark.chaos, pytest.mark.long])])
async def test_nothing_is_left_whenever_it_is_killed(place: Place, service: Service, rounds: int) -> None:
    random_ = random.Random(rounds)
    service.start()
    for number in range(rounds):
        deployment_id = await place.create(extra_args="--own-session-worker")
        if number % 2:
            await place.fact(deployment_id, DeploymentPlaced)
        await asyncio.sleep(random_.uniform(0.0, 0.3))  # which instant it is killed at is the point
        service.restart()
        if number % 3 == 0:
            await place.fact(deployment_id, DeploymentStarted)
        await place.remove(deployment_id, force=True)
        await asyncio.sleep(random_.uniform(0.0, 0.5))
        service.restart()
        await place.fact(deployment_id, DeploymentRemoved)
        assert not place.pids(deployment_id)
        kinds = [type(fact) for fact in await place.facts(deployment_id)]
        assert kinds.count(DeploymentLaunched) <= kinds.count(DeploymentPlaced) <= 1
        assert kinds[-1] is DeploymentRemoved
    async with asyncio.timeout(30):
        while await place.held():  # noqa: ASYNC110 - it follows the last fact
            await asyncio.sleep(0.02)
