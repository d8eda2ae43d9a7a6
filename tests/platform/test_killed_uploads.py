"""kill -9 in the middle of uploads: what was not answered leaves nothing, what is resumable goes on where it was."""

from __future__ import annotations

import hashlib
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.platform.serving import Serving, until

pytestmark = pytest.mark.chaos
CONTENT = b'{"text": "0123456789"}\n' * 200_000  # some 4.6 MB
HALF = len(CONTENT) // 2


def asked(serving: Serving, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
    url = f"http://127.0.0.1:{serving.port}{path}"
    request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}


def half_sent(serving: Serving, head: str, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", serving.port))
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + content)
    return connection


def parts(storage: Path, folder: str) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (storage / folder).iterdir()}


@pytest.mark.parametrize("all_of_it", [False, True], ids=["the edge", "everything"])
def test_uploads_survive_or_leave_nothing(serving: Serving, all_of_it: bool) -> None:
    serving.start()
    until(serving.ready, "readiness")
    storage = serving.data / "storage"
    dataset = serving.post("/v1/datasets", {"name": "killed"})[1]["id"]
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(CONTENT)), "Upload-Metadata": "filename YS5qc29ubA=="}
    upload = asked(serving, "POST", f"/v1/datasets/{dataset}/uploads", **tus)[1]["location"]

    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="b.jsonl"\r\n\r\n'
    whole = half_sent(
        serving,
        f"PUT /v1/datasets/{dataset}/files HTTP/1.1\nHost: localhost\nContent-Length: {len(CONTENT) + 200}\n"
        "Content-Type: multipart/form-data; boundary=x\n",
        form + CONTENT[:HALF],
    )
    piece = half_sent(
        serving,
        f"PATCH {upload} HTTP/1.1\nHost: localhost\nTus-Resumable: 1.0.0\nUpload-Offset: 0\n"
        f"Content-Type: application/offset+octet-stream\nContent-Length: {len(CONTENT)}\n",
        CONTENT[:HALF],
    )
    until(lambda: sum(parts(storage, "incoming").values()), "bytes of the one")
    until(
        lambda: any(size for name, size in parts(storage, "uploads").items() if name.endswith("part")), "of the other"
    )
    if all_of_it:
        serving.kill("serve", "edge", "workers", "nats-server")
        serving.start()
    else:
        before = serving.part("edge")
        serving.kill("edge")
        until(lambda: serving.parts().get("edge") not in (None, before), "another edge")
    whole.close()
    piece.close()
    until(serving.ready, "readiness again")
    until(lambda: not parts(storage, "incoming"), "a sweep")
    assert parts(storage, "files") == {}
    assert serving.get(f"/v1/datasets/{dataset}")[1]["status"] == "created"

    status, headers = asked(serving, "HEAD", upload, **{"Tus-Resumable": "1.0.0"})
    offset = int(headers["upload-offset"])
    assert (status, 0 < offset <= HALF) == (200, True)
    sent = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    assert asked(serving, "PATCH", upload, CONTENT[offset:], **sent)[0] == 204
    [file] = serving.get(f"/v1/datasets/{dataset}")[1]["files"]
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert parts(storage, "files") == {file["stored_name"]: len(CONTENT)}
    assert parts(storage, "uploads") == {}
