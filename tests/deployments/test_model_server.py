"""A real model server, deployed and asked, through the running service."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments import model_server
from tests.platform.serving import Serving, until

READY = 180.0  # seconds that importing torch may take on a busy machine


class Deploying(Serving):
    """Serves models by `transformers serve`, on the CPU and without asking a model hub."""

    def environment(self, **more: str) -> dict[str, str]:
        template = f"{model_server.program()} serve {{model_path}} --host {{host}} --port {{port}} {{extra_args}}"
        own = {"VLLM_CMD_TEMPLATE": template, "HF_HUB_OFFLINE": "1", "TRAINLEDGER_DEPLOY_PORTS": "20000-29999"}
        return super().environment(**own, **more)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Deploying]:
    if not model_server.installed():
        if not os.environ.get("TRAINLEDGER_REQUIRE_ALL"):
            pytest.skip("the model server is not installed: make model-server")
        model_server.install()
    serving = Deploying(tmp_path)
    serving.start()
    yield serving
    assert serving.command("stop", "--all").returncode == 0
    assert serving.process is not None
    serving.process.wait()


@pytest.mark.slow
def test_a_deployed_model_answers_a_chat(serving: Deploying, tmp_path: Path) -> None:
    model = model_server.make_model(tmp_path / "tiny")
    status, created = serving.post(
        "/deployments", {"model_path": str(model), "extra_args": "--device cpu", "tags": ["chat"]}
    )
    assert (status, created["status"] in ("starting", "running")) == (201, True), created
    path = f"/deployments/{created['deployment_id']}"

    healthy = until(lambda: (found := serving.get(path)[1])["health_ok"] and found, "a good health probe", READY)
    assert healthy["status"] == "running"

    port = healthy["port"]
    question = {"model": str(model), "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        said = json.loads(answer.read())
    assert said["choices"][0]["message"]["role"] == "assistant"
    assert 0 < said["usage"]["completion_tokens"] <= 4

    removal = urllib.request.Request(f"http://127.0.0.1:{serving.port}{path}", method="DELETE")
    with urllib.request.urlopen(removal, timeout=60) as answer:
        assert json.loads(answer.read()) == {
            "detail": "deployment removed",
            "deployment_id": created["deployment_id"],
        }
    assert not Path(f"/proc/{healthy['pid']}").exists()
    assert serving.get("/deployments")[1] == []
