"""Deployments as clients of `trainledger serve` see them, with servers that behave as badly as they may."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.runtime.children import processes
from tests.deployments.place import TEMPLATE
from tests.platform.serving import Serving, until
from tests.ports import free_ports

pytestmark = pytest.mark.slow

PORTS = 40


class Served(Serving):
    """Its servers are misbehaving ones, on ports of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.first_port = free_ports(PORTS)

    def environment(self, **more: str) -> dict[str, str]:
        own = {
            "VLLM_CMD_TEMPLATE": TEMPLATE,
            "TRAINLEDGER_DEPLOY_PORTS": f"{self.first_port}-{self.first_port + PORTS - 1}",
            "TRAINLEDGER_DEPLOY_STOP_SECONDS": "2",
        }
        return super().environment(**own | more)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=data,
            method=method,
            headers={"Content-Type": "application/json", "Accept-Language": "en"} | headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, decoded(answer.read(), answer.headers["content-type"])
        except urllib.error.HTTPError as error:
            return error.code, decoded(error.read(), error.headers["content-type"])

    def create(self, **body: Any) -> dict[str, Any]:
        status, made = self.ask("POST", "/deployments", {"model_path": "models/qwen2.5"} | body)
        assert status == 201, made
        assert isinstance(made, dict)
        return made

    def shown(self, deployment_id: str) -> dict[str, Any]:
        status, body = self.ask("GET", f"/deployments/{deployment_id}")
        assert status == 200, body
        assert isinstance(body, dict)
        return body

    def running(self, deployment_id: str) -> dict[str, Any]:
        """Waits for it, and for a good answer to a probe, whose bounds a busy machine may pass."""

        def looked() -> dict[str, Any] | None:
            shown = self.shown(deployment_id)
            return shown if (shown["status"], shown["health_ok"]) == ("running", True) else None

        running: dict[str, Any] = until(looked, f"{deployment_id} running and well")
        return running

    def children(self, deployment_id: str) -> set[int]:
        """What is alive of it, by its mark."""
        found = set()
        for attempt in range(1, 10):
            found |= {one.pid for one in processes.members(f"TRAINLEDGER_DEPLOYMENT={deployment_id}/{attempt}", None)}
        return found

    def taken_ports(self) -> list[int]:
        [node] = self.ask("GET", "/gpus")[1]
        assert node["reachable"]
        ports: list[int] = node["ports"]
        return ports


def decoded(body: bytes, media: str) -> Any:
    return json.loads(body) if media.startswith("application/") else body.decode()


def end(served: Served) -> None:
    served.end_everything()
    for directory in (served.data / "deployments").glob("*"):
        for pid in served.children(directory.name):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served"))
    made.start()
    until(made.launches, "a node that serves")
    yield made
    end(made)


DOCUMENTED = {
    "model_path": "models/qwen2.5",
    "model_version": "v1",
    "tags": ["demo"],
    "extra_args": "--max-num-seqs 4",
    "preferred_gpu": 0,
    "health_path": "/health",
}


def test_the_documented_example(served: Served) -> None:
    status, made = served.ask("POST", "/deployments", DOCUMENTED)
    assert status == 201, made
    deployment_id = made["deployment_id"]
    body = served.running(deployment_id)
    for name in ("model_path", "model_version", "tags", "health_path"):
        assert body[name] == DOCUMENTED[name]
    assert body["health_ok"] is True
    assert body["pid"] in served.children(deployment_id)
    [node] = served.ask("GET", "/gpus")[1]
    held = {"kind": "deployment", "port": body["port"], "gpus": [], "exclusive": False, "memory": 0}
    assert node["leases"] == [{"holder": deployment_id} | held]
    assert isinstance(body["started_at"], float)
    assert body["stopped_at"] is None
    assert body["log_file"] == f"{served.data}/deploy_logs/{deployment_id}.log"
    assert body["vllm_cmd"].endswith(f"models/qwen2.5 --host 127.0.0.1 --port {body['port']} --max-num-seqs 4")

    def listed(query: str) -> list[str]:
        return [view["deployment_id"] for view in served.ask("GET", f"/deployments?{query}")[1]]

    assert listed("") == listed("model=qwen&tag=demo&status=RunNing") == [deployment_id]
    assert listed("model=llama") == listed("tag=dem") == listed("status=failed") == listed("model=QWEN") == []
    assert served.ask("GET", "/deployments?status=well")[0] == 400

    status, removed = served.ask("DELETE", f"/deployments/{deployment_id}")
    assert (status, removed) == (200, {"detail": "deployment removed", "deployment_id": deployment_id})
    assert not served.children(deployment_id)
    assert body["port"] not in served.taken_ports()
    assert served.ask("DELETE", f"/deployments/{deployment_id}")[0] == 404
    assert served.ask("GET", f"/deployments/{deployment_id}")[0] == 404
    assert deployment_id not in listed("")
    assert deployment_id in listed("all=true")
    assert served.ask("GET", f"/deployments/{deployment_id}/logs")[1]["content"].startswith("serving models/qwen2.5")


def test_bad_requests(served: Served) -> None:
    for wrong, status in (
        ({"model_path": "-x"}, 400),
        ({"extra_args": "--port 1"}, 400),
        ({"extra_args": "'"}, 400),
        ({"model_path": None}, 422),
        ({"model_path": 7}, 422),
        ({"healthpath": "/x"}, 422),
        ({"health_path": "x"}, 422),
        ({"tags": ["x" * 101]}, 422),
        ({"tags": ["x"] * 101}, 422),
        ({"tags": ["x" * 2_000_000]}, 413),
        ({"preferred_gpu": -1}, 422),
        ({"restart_policy": "always"}, 422),
        ({"gpu_required": True}, 503),
        ({"min_free_memory": 1}, 503),
        ({"node": "nobody"}, 409),
        ({"node": "a.b>"}, 422),
        ({"model_path": None, "artifact_id": "93f22d88-9d39-4f71-a3b1-0f41d396a4f7"}, 404),
    ):
        answer = served.ask("POST", "/deployments", {"model_path": "models/qwen2.5"} | wrong)
        assert answer[0] == status, (wrong, answer)
    for path in ("/deployments/x", "/deployments/93f22d88-9d39-4f71-a3b1-0f41d396a4f7"):
        assert served.ask("GET", path)[0] == served.ask("DELETE", path)[0] == 404
        assert served.ask("POST", path + "/restart")[0] == served.ask("GET", path + "/logs")[0] == 404


def test_a_server_that_does_not_end_is_left_stopping_and_then_killed(served: Served) -> None:
    made = served.create(extra_args="--ignore-term --own-session-worker")
    deployment_id = made["deployment_id"]
    served.running(deployment_id)
    status, problem = served.ask("DELETE", f"/deployments/{deployment_id}")
    assert (status, problem["code"]) == (409, "deployment_stopping")
    body = served.shown(deployment_id)
    assert (body["status"], set(body["survivors"])) == ("stopping", served.children(deployment_id))
    assert served.ask("POST", f"/deployments/{deployment_id}/restart")[0] == 409
    assert served.ask("DELETE", f"/deployments/{deployment_id}?force=true")[0] == 200
    assert not served.children(deployment_id)


def test_a_failure_is_told_with_its_exit_code_and_last_words(served: Served) -> None:
    made = served.create(extra_args="--die-after 0.1 --exit-code 3 --load-seconds 9 --say 'CUDA out of memory'")
    deployment_id = made["deployment_id"]
    until(lambda: served.shown(deployment_id)["status"] == "failed", "its failure")
    body = served.shown(deployment_id)
    assert (body["exit_code"], body["failure_cause"], body["pid"], body["health_ok"]) == (3, "exit", None, False)
    assert body["log_tail"] == ["serving models/qwen2.5 CUDA out of memory"]
    status, _ = served.ask("DELETE", f"/deployments/{deployment_id}")
    assert status == 200


def test_a_log_is_read_in_pieces_whole_and_live(served: Served) -> None:
    made = served.create(extra_args="--say 你好")
    deployment_id = made["deployment_id"]
    served.running(deployment_id)
    logs = f"/deployments/{deployment_id}/logs"
    text = "serving models/qwen2.5 你好\n"
    assert served.ask("GET", logs, None, Accept="text/plain") == (200, text)
    piece = served.ask("GET", f"{logs}?length=25")[1]
    assert (piece["content"], piece["size"]) == ("serving models/qwen2.5 ", len(text.encode()))
    assert served.ask("GET", f"{logs}?offset={piece['next_offset']}")[1]["content"] == "你好\n"
    assert served.ask("GET", f"{logs}?tail=1")[1]["content"] == text
    assert served.ask("GET", f"{logs}?tail=1&offset=3")[0] == 400
    with ThreadPoolExecutor() as threads:
        live = threads.submit(served.ask, "GET", logs, None, Accept="text/event-stream")
        assert served.ask("DELETE", f"/deployments/{deployment_id}")[0] == 200
        events = live.result(60)[1]
    assert '"content":"serving models/qwen2.5 你好\\n"' in events
    assert events.endswith('id: end\nevent: end\ndata: {"status":"stopped"}\n\n')


def test_why_a_deployment_came_as_it_did(served: Served) -> None:
    made = served.create(preferred_gpu=3)
    deployment_id = made["deployment_id"]
    served.running(deployment_id)
    path = f"/deployments/{deployment_id}/explain"
    until(lambda: served.ask("GET", path)[1]["chain"][-1]["fact"] == "DeploymentStarted", "the record of its start")
    assert served.ask("GET", path)[1]["why"] is None
    assert served.ask("DELETE", f"/deployments/{deployment_id}", **{"X-Actor": "bob"})[0] == 200
    status, body = served.ask("GET", path)
    assert (status, body["status"]) == (200, "stopped")
    assert body["why"] == "as asked, nothing of it is left alive, and its memory is free"
    told = [(step["kind"], step["fact"], step["name"]) for step in body["chain"]]
    assert told == [
        ("asked", "DeploymentRequested", "local"),
        ("decided", "DeploymentPlaced", "the deployment service"),
        ("observed", "DeploymentLaunched", "the deployment service"),
        ("observed", "DeploymentStarted", "the deployment service"),
        ("asked", "DeploymentStopRequested", "bob"),
        ("observed", "DeploymentStopped", "the deployment service"),
        ("decided", "DeploymentRemoved", "the deployment service"),
    ]
    assert isinstance(body["chain"][0]["time"], float)
    placed = body["chain"][1]
    assert placed["sentence"] == f"attempt 1 gets port {made['port']} and no GPU, nor does the preferred one exist"
    past = served.ask("GET", f"{path}?as_of={placed['position']}")[1]
    assert (past["status"], len(past["chain"])) == ("starting", 2)
    chinese = served.ask("GET", path, **{"Accept-Language": "zh"})[1]
    assert chinese["chain"][4]["sentence"] == "bob 请求停止并移除"
    assert served.ask("GET", "/deployments/93f22d88-9d39-4f71-a3b1-0f41d396a4f7/explain")[0] == 404


def test_one_that_does_not_answer_costs_the_others_nothing(served: Served) -> None:
    hung = [served.create(extra_args="--hang")["deployment_id"] for _ in range(3)]
    well = served.create()["deployment_id"]
    served.running(well)

    def told() -> dict[str, Any]:
        views = served.ask("GET", "/deployments")[1]
        return {view["deployment_id"]: (view["reachable"], view["status"], view["health_ok"]) for view in views}

    expected = dict.fromkeys(hung, (True, "starting", False)) | {well: (True, "running", True)}
    until(lambda: told() == expected, "an answer on each in time")
    for one in (*hung, well):
        assert served.ask("DELETE", f"/deployments/{one}")[0] == 200


def trained(served: Served) -> dict[str, Any]:
    """A short run of the example, at its end."""
    configs = served.data / "training" / "configs"
    text = (configs / "qwen_demo.yaml").read_text(encoding="utf-8")
    (configs / "short.yaml").write_text(text.replace("max_steps: -1", "max_steps: 2"), encoding="utf-8")
    project = {"name": "short", "owner": "alice", "dataset_name": "datasets/qwen_demo.jsonl"}
    assert served.ask("POST", "/projects", project | {"training_yaml_name": "configs/short.yaml"})[0] == 201
    status, run = served.ask("POST", "/projects/short/runs")
    assert status == 201, run
    path = f"/projects/short/runs/{run['id']}"
    ended: dict[str, Any] = until(lambda: (found := served.ask("GET", path)[1])["completed_at"] and found, "its end")
    assert ended["status"] == "completed", ended
    return ended


def test_a_checkpoint_of_a_run_is_served(served: Served) -> None:
    run = trained(served)
    checkpoint = [artifact for artifact in run["artifacts"] if artifact["type"] == "checkpoint"][-1]
    other = next(artifact for artifact in run["artifacts"] if artifact["type"] != "checkpoint")
    assert Path(checkpoint["path"]).is_absolute()
    asked = {"model_path": None, "artifact_id": checkpoint["id"]}
    made = served.create(**asked)
    deployment_id = made["deployment_id"]
    body = served.running(deployment_id)
    assert (body["run_id"], body["artifact_id"]) == (run["id"], checkpoint["id"])
    assert body["model_path"] == checkpoint["path"]
    logs = f"/deployments/{deployment_id}/logs"
    assert served.ask("GET", logs)[1]["content"] == f"serving {checkpoint['path']} \n"
    assert run["id"] in served.ask("GET", f"/deployments/{deployment_id}/explain")[1]["chain"][0]["sentence"]
    assert served.ask("DELETE", f"/deployments/{deployment_id}")[0] == 200

    def refused(**body: Any) -> tuple[int, str]:
        status, problem = served.ask("POST", "/deployments", asked | body)
        return status, problem["code"]

    assert refused(model_path="m") == (422, "invalid_body")
    assert refused(artifact_id="93f22d88-9d39-4f71-a3b1-0f41d396a4f7") == (404, "artifact_not_found")
    assert refused(artifact_id=other["id"])[1] == "not_a_checkpoint"
    assert refused(node="elsewhere") == (409, "checkpoint_elsewhere")
    (Path(checkpoint["path"]) / "trainer_state.json").unlink()
    assert refused() == (409, "checkpoint_incomplete")


def test_twenty_at_once_get_twenty_ports_and_twenty_servers(served: Served) -> None:
    with ThreadPoolExecutor(20) as threads:
        made = list(threads.map(lambda _: served.create(), range(20)))
        assert len({body["port"] for body in made}) == 20
        shown = list(threads.map(lambda body: served.running(body["deployment_id"]), made))
        assert len({body["pid"] for body in shown}) == 20
        until(lambda: {body["health_ok"] for body in served.ask("GET", "/deployments")[1]} == {True}, "their health")
        paths = [f"/deployments/{body['deployment_id']}?force=true" for body in made]
        removed = threads.map(lambda path: served.ask("DELETE", path)[0], paths)
        assert set(removed) == {200}
    assert served.taken_ports() == []
    assert not any(served.children(body["deployment_id"]) for body in made)


def test_a_key_makes_one_deployment(served: Served) -> None:
    key = {"Idempotency-Key": "one-deployment"}
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: served.ask("POST", "/deployments", {"model_path": "m"}, **key), range(3)))
    assert {status for status, _ in answers} == {201}
    [deployment_id] = {body["deployment_id"] for _, body in answers}
    assert served.ask("DELETE", f"/deployments/{deployment_id}?force=true")[0] == 200


def test_servers_live_through_the_death_of_everything_else(served: Served) -> None:
    made = served.create(restart_policy="on-failure")
    deployment_id = made["deployment_id"]
    before = served.running(deployment_id)
    served.kill("serve", "edge", "workers", "nats-server")
    served.start()
    after = served.running(deployment_id)
    for name in ("pid", "port", "started_at", "attempt"):
        assert after[name] == before[name]
    os.kill(after["pid"], signal.SIGKILL)
    until(lambda: served.shown(deployment_id)["attempt"] == 2, "another attempt")
    assert served.running(deployment_id)["pid"] != after["pid"]
    stopped = served.command("stop", "--all")
    assert stopped.returncode == 0, stopped.stderr
    assert not served.children(deployment_id)
    assert served.process is not None
    served.process.wait(60)
    served.process = None
    served.start()
    until(served.launches, "a node that serves")
    assert served.taken_ports() == []
