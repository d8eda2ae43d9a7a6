"""Nothing of what is de-identified is found anywhere in the data directory but where it was put to be kept."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.platform.serving import PATIENCE, Serving, until

# Each is looked for in every file as it stands, and as JSON, base64 and logs may spell it.
SECRETS = {
    "text": "13877771111",
    "mapping": "13877772222",
    "refused": "13877773333",
    "field": "13877774444",
    "broken": "13877775555",
    "job": "13877776666",
    "bad line": "13877777777",
    "canceled": "13877778888",
    "killed": "13877779999",
    "name": "机密张三丰",
    "seed": "424242424242",
}


def ask(
    serving: Serving, method: str, path: str, body: object = None, kind: str = "application/json"
) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    url = f"http://127.0.0.1:{serving.port}{path}"
    request = urllib.request.Request(url, data=data, headers={"Content-Type": kind}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def upload(serving: Serving, dataset: str, name: str, content: bytes) -> str:
    boundary = "0123456789"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = head + content + f"\r\n--{boundary}--\r\n".encode()
    path = f"/v1/datasets/{dataset}/files"
    status, answer = ask(serving, "PUT", path, body, f"multipart/form-data; boundary={boundary}")
    assert status == 200, answer
    return str(answer["upload_id"])


def dataset(serving: Serving, secret: str, lines: int, more: bytes = b"") -> tuple[str, str]:
    """Its id, and that of its one upload."""
    made = ask(serving, "POST", "/v1/datasets", {"name": "pairs"})[1]["id"]
    line = json.dumps({"text": f"{SECRETS['name']} 电话 {secret}"}, ensure_ascii=False) + "\n"
    return made, upload(serving, made, "train.jsonl", line.encode() * lines + more)


def job(serving: Serving, dataset_id: str, seed: int = int(SECRETS["seed"])) -> str:
    path = f"/v1/datasets/{dataset_id}/deidentify"
    status, answer = ask(serving, "POST", path, {"policy_id": "default", "seed": seed})
    assert status == 202, answer
    return f"/v1/deid/jobs/{answer['id']}"


def ended(serving: Serving, path: str) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = ask(serving, "GET", path)[1]
        return found if found["status"] in ("completed", "failed", "canceled") else None

    found: dict[str, Any] = until(over, f"the end of {path}")
    return found


def use_texts(serving: Serving) -> None:
    path = "/v1/deidentify:test"
    for secret, options in (("text", {}), ("mapping", {"return_mapping": True, "seed": 1})):
        assert ask(serving, "POST", path, {"text": [SECRETS[secret] + SECRETS["name"]], "options": options})[0] == 200
    assert ask(serving, "POST", "/v1/deidentify:reverse", {"text": [SECRETS["text"]]})[0] in (200, 409)
    refused = SECRETS["refused"]
    for body in (
        {"text": [refused], "policy_id": refused},
        {"text": [refused], "options": {"locale": refused}},
        {"text": [refused], "options": {"format": "json"}},
        {"text": [refused, 1]},
        {"text": refused},
        {"text": [refused] * 2_000},
        {SECRETS["field"]: refused},
    ):
        assert ask(serving, "POST", path, body)[0] in (200, 400, 413, 422)
    assert ask(serving, "POST", path, f'{{"text": ["{SECRETS["broken"]}'.encode())[0] == 422
    assert ask(serving, "POST", path, f'{{"text": ["{SECRETS["broken"]}\xff"]}}'.encode("latin-1"))[0] == 422
    assert ask(serving, "POST", path, SECRETS["broken"].encode(), "text/plain")[0] == 415
    assert ask(serving, "PUT", "/v1/deid/policies/mine", SECRETS["broken"].encode(), "application/yaml")[0] == 422


@pytest.mark.slow
def test_nothing_of_it_stays(serving: Serving) -> None:
    raw: list[str] = []
    serving.start()
    until(serving.ready, "readiness")
    use_texts(serving)

    made, upload_id = dataset(serving, SECRETS["job"], 20)
    raw.append(upload_id)
    completed = ended(serving, job(serving, made))
    assert completed["status"] == "completed", completed
    assert ask(serving, "GET", f"/v1/deid/jobs/{completed['id']}/report")[0] == 200

    made, upload_id = dataset(serving, SECRETS["bad line"], 20, f'{{"text": "{SECRETS["bad line"]}'.encode())
    raw.append(upload_id)
    failed = ended(serving, job(serving, made))
    assert (failed["status"], failed["failure"]["line"]) == ("failed", 21), failed

    made, upload_id = dataset(serving, SECRETS["canceled"], 50_000)
    raw.append(upload_id)
    canceled = job(serving, made)
    assert ask(serving, "POST", canceled + "/cancel")[0] in (200, 409)
    ended(serving, canceled)

    made, upload_id = dataset(serving, SECRETS["killed"], 50_000)
    raw.append(upload_id)
    killed = job(serving, made)
    until(lambda: ask(serving, "GET", killed)[1]["status"] == "running", "the work's begin")
    os.kill(serving.part("workers"), signal.SIGKILL)
    assert ended(serving, killed)["status"] == "completed"
    assert serving.stop() == 0
    assert searched(serving.directory, raw) == []


def searched(directory: Path, raw: list[str]) -> list[tuple[str, str]]:
    """Which secret stands in which file, those of the raw uploads left out."""
    found = []
    for path in directory.rglob("*"):
        if not path.is_file() or any(path.name.startswith(upload) for upload in raw):
            continue
        content = path.read_bytes()
        for what, secret in SECRETS.items():
            if what == "name" and path.parent.name == "files":
                continue  # an output: the policy is one of digits alone
            spelled = (secret, json.dumps(secret).strip('"'), secret.encode().hex())
            if any(spelling.encode() in content for spelling in spelled):
                found.append((what, str(path.relative_to(directory))))
    return found
