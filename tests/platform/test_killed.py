"""kill -9 of everything, or of any part of it: what is left heals, and the next start just works."""

from __future__ import annotations

import os
import signal

import pytest

from tests.platform.serving import Serving, until

pytestmark = pytest.mark.chaos
PROJECT = {"owner": "alice", "dataset_name": "d.jsonl", "training_yaml_name": "c.yaml"}
ALL = ("serve", "edge", "workers", "nats-server")


@pytest.mark.parametrize("part", ["edge", "workers", "nats-server"])
def test_a_killed_part_is_started_again(running: Serving, part: str) -> None:
    until(running.ready, "readiness")
    assert running.post("/projects", {"name": f"before {part}"} | PROJECT)[0] == 201
    before = running.part(part)
    running.kill(part)
    until(lambda: running.parts().get(part) not in (None, before), f"another {part}")
    until(running.ready, "readiness again")
    assert running.post("/projects", {"name": f"after {part}"} | PROJECT)[0] == 201
    names = {project["name"] for project in running.get("/projects")[1]}
    assert {f"before {part}", f"after {part}"} <= names


def test_children_do_not_outlive_their_parent(serving: Serving) -> None:
    serving.start()
    serving.kill("serve")
    until(lambda: set(serving.parts()) == {"nats-server"}, "the children's end")


def test_what_outlives_it_is_stopped(serving: Serving) -> None:
    serving.start()
    serving.kill("serve")
    stopped = serving.command("stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert "no longer serves" in stopped.stdout
    assert not serving.parts()
    assert "does not serve" in serving.command("stop").stdout


@pytest.mark.parametrize("left", [(), ("nats-server",), ("edge",)], ids=str)
def test_the_next_start_just_works(serving: Serving, left: tuple[str, ...]) -> None:
    """`left` is what survives, and hangs, so that it does not notice that its parent is gone."""
    serving.start()
    until(serving.ready, "readiness")
    assert serving.post("/projects", {"name": "kept"} | PROJECT)[0] == 201
    survivors = [serving.part(name) for name in left]
    for pid in survivors:
        os.kill(pid, signal.SIGSTOP)
    serving.kill(*(name for name in ALL if name not in left))

    serving.start()
    until(serving.ready, "readiness")
    assert [project["name"] for project in serving.get("/projects")[1]] == ["kept"]
    assert not set(survivors) & set(serving.parts().values())
    assert serving.stop() == 0
