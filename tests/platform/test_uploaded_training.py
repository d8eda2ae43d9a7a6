"""A data set and a configuration are uploaded to a service that runs, and the example trains on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platform.serving import ROOT, Serving, until

YAML = (ROOT / "deploy" / "example" / "configs" / "qwen_demo.yaml").read_bytes().replace(b"epochs: 5.0", b"epochs: 1.0")
RECORDS = [{"instruction": f"第 {number} 个问题", "output": "答案"} for number in range(6)]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path)
    serving.start()
    yield serving
    serving.end_everything()


def ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def test_the_example_trains_on_what_was_uploaded(serving: Serving) -> None:
    content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS).encode()
    with httpx.Client(base_url=f"http://127.0.0.1:{serving.port}", timeout=60) as http:
        until(serving.launches, "a node that trains")
        dataset = ok(http.post("/v1/datasets", json={"name": "pairs"}))["id"]
        file = ok(http.put(f"/v1/datasets/{dataset}/files", files={"file": ("pairs.jsonl", content)}))
        config = ok(http.put("/v1/train-config", files={"file": ("finetune.yaml", YAML)}))["train_config"]
        project = {"name": "uploaded", "owner": "alice", "dataset_name": f"dataset:{dataset}"}
        ok(http.post("/projects", json=project | {"training_yaml_name": "train-config"}))
        run = ok(http.post("/projects/uploaded/runs"))
        path = f"/projects/uploaded/runs/{run['id']}"
        ended = until(lambda: (found := ok(http.get(path)))["completed_at"] and found, "the end of the run")
        assert ended["status"] == "completed", ended["failure_reason"]
        assert (ended["dataset_version"], ended["dataset_sha256"]) == (1, file["sha256"])
        assert (ended["train_config_version"], ended["train_config_sha256"]) == (1, config["sha256"])
        assert "Num examples = 6" in ok(http.get(f"{path}/logs", params={"offset": 0}))["entries"].__repr__()
        original = [artifact for artifact in ended["artifacts"] if artifact["type"] == "config_original"]
        assert [artifact["sha256"] for artifact in original] == [config["sha256"]]

        placed = serving.data / "training" / "datasets" / ".trainledger" / f"{file['sha256']}.jsonl"
        until(lambda: not placed.exists(), "the end of the copy")

        other = ok(http.put("/v1/train-config", files={"file": ("finetune.yaml", YAML + b"report_to: none\n")}))
        resumed = ok(http.post(f"{path}/resume"))
        assert (other["train_config"]["version"], resumed["train_config_version"]) == (2, 1)
        assert resumed["dataset_sha256"] == file["sha256"]
