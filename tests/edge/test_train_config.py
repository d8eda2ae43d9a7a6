"""The training configuration over HTTP: as documented, versioned, compared, and nothing bad is ever stored."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.problem_kinds import PROBLEMS
from tests.edge.conftest import QWEN, World, eventually

EXAMPLE = (Path(__file__).parents[2] / "deploy" / "example" / "configs" / "qwen_demo.yaml").read_bytes()
OLD, NEW = b"stage: sft\nlearning_rate: 1.0e-5\n", b"stage: sft\nlearning_rate: 2.0e-5\nmy_key: {a: 1}\n"
HERE = "/v1/train-config"


async def put(
    http: httpx.AsyncClient, content: bytes = OLD, filename: str = "finetune.yaml", path: str = HERE, **headers: str
) -> httpx.Response:
    return await http.put(path, files={"file": (filename, content)}, headers=headers)


def stored(world: World) -> set[str]:
    """Everything that lies in the store, also what has not become a file."""
    root = world.parts.edge.uploads.storage.root
    return {path.name for name in ("files", "incoming") for path in (root / name).iterdir()}


async def test_as_documented(http: httpx.AsyncClient) -> None:
    missing = await http.get(HERE)
    assert (missing.status_code, missing.json()["code"]) == (404, "train_config_missing")
    assert (await http.delete(HERE)).status_code == 404
    answer = await put(http, EXAMPLE)
    assert answer.status_code == 200, answer.text
    told = answer.json()["train_config"]
    assert told["filename"] == "finetune.yaml"
    assert told["size"] == len(EXAMPLE)
    assert told["uploaded_at"][10] == "T"
    assert len(told["uploaded_at"]) == len("2024-04-12T08:56:12.871Z")
    assert told["uploaded_at"].endswith("Z")
    assert answer.json()["warnings"] == []
    assert (await http.get(HERE)).json() == told
    gone = await http.delete(HERE)
    assert (gone.status_code, gone.json()) == (200, {"status": "train_config_deleted"})
    assert (await http.get(HERE)).status_code == 404
    assert (await http.delete(HERE)).status_code == 404


async def test_every_upload_is_a_version_and_stays(http: httpx.AsyncClient, world: World) -> None:
    first = await put(http, OLD, "a.yaml", **{"X-Actor": "alice"})
    before = first.headers["Event-Position"]
    assert (await put(http, NEW, "b.yml", **{"X-Actor": "bob"})).json()["train_config"]["version"] == 2
    await http.delete(HERE)
    await put(http, OLD, "a.yaml")
    versions = (await http.get(f"{HERE}/versions")).json()
    assert [(one["version"], one["filename"], one["current"]) for one in versions] == [
        (3, "a.yaml", True), (2, "b.yml", False), (1, "a.yaml", False),
    ]  # fmt: skip
    assert [one["uploaded_by"] for one in versions] == ["local", "bob", "alice"]
    assert [one["deleted_at"] is not None for one in versions] == [False, True, False]
    assert versions[1]["sha256"] == hashlib.sha256(NEW).hexdigest()
    assert versions[2]["size"] == len(OLD)
    then = (await http.get(f"{HERE}/versions", params={"as_of": before})).json()
    assert [(one["version"], one["current"]) for one in then] == [(1, True)]
    assert (await http.get(HERE, params={"as_of": before})).json()["version"] == 1

    page = await http.get(f"{HERE}/versions", params={"limit": 2})
    assert [one["version"] for one in page.json()] == [3, 2]
    following = await http.get(page.headers["Link"].split(">")[0].removeprefix("<"))
    assert [(one["version"], one["current"]) for one in following.json()] == [(1, False)]
    assert "Link" not in following.headers
    assert (await http.get(f"{HERE}/versions", params={"cursor": "x"})).status_code == 400
    assert len(stored(world)) == 3, "nothing is left arriving"


async def test_the_content_of_any_version(http: httpx.AsyncClient, world: World) -> None:
    assert (await http.get(f"{HERE}/content")).status_code == 404
    await put(http, OLD, "旧 配置.yaml")
    await put(http, NEW)
    now = await http.get(f"{HERE}/content")
    assert now.content == NEW
    assert now.headers["content-type"].startswith("application/yaml")
    assert now.headers["etag"] == f'"{hashlib.sha256(NEW).hexdigest()}"'
    old = await http.get(f"{HERE}/content", params={"version": 1})
    assert old.content == OLD
    assert "%E6%97%A7" in old.headers["content-disposition"]
    same = await http.get(f"{HERE}/content", headers={"If-None-Match": now.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    for version in ("3", str(2**31 - 1)):
        assert (await http.get(f"{HERE}/content", params={"version": version})).status_code == 404
    for version in ("0", "x", str(2**31)):
        assert (await http.get(f"{HERE}/content", params={"version": version})).status_code == 400
    await http.delete(HERE)
    assert (await http.get(f"{HERE}/content")).status_code == 404
    assert (await http.get(f"{HERE}/content", params={"version": 2})).content == NEW
    for path in world.parts.edge.uploads.storage.files.iterdir():
        path.chmod(0o644)
        path.write_bytes(b"changed: 1\n")
    broken = await http.get(f"{HERE}/content", params={"version": 2})
    assert (broken.status_code, broken.json()["code"]) == (503, "train_config_unreadable")


async def test_what_two_versions_differ_in(http: httpx.AsyncClient) -> None:
    await put(http, OLD)
    await put(http, NEW)
    answer = await http.get(f"{HERE}/diff", params={"from": 1, "to": 2})
    assert answer.json() == {
        "from": 1,
        "to": 2,
        "added": [{"pointer": "/my_key", "value": {"a": 1}}],
        "removed": [],
        "changed": [{"pointer": "/learning_rate", "old": 1e-5, "new": 2e-5}],
    }
    back = (await http.get(f"{HERE}/diff", params={"from": 2, "to": 1})).json()
    assert [one["pointer"] for one in back["removed"]] == ["/my_key"]
    missing = await http.get(f"{HERE}/diff", params={"from": 1, "to": 9}, headers={"Accept-Language": "en"})
    assert (missing.status_code, "9" in missing.json()["detail"]) == (404, True)
    assert (await http.get(f"{HERE}/diff")).json() == answer.json(), "the newest and the one before it"
    assert (await http.get(f"{HERE}/diff", params={"to": 1})).status_code == 404
    assert (await http.get(f"{HERE}/diff", params={"to": 0})).status_code == 400


async def test_warnings_stand_beside_what_is_documented(http: httpx.AsyncClient) -> None:
    answer = await put(http, b"learning_rate: 1e-5\nlearning_rat: 1\n", **{"Accept-Language": "en"})
    assert answer.status_code == 200
    assert [(one["pointer"], one["line"], one["column"]) for one in answer.json()["warnings"]] == [
        ("/learning_rate", 1, 16), ("/learning_rat", 2, 1),
    ]  # fmt: skip
    assert "1.0e-5" in answer.json()["warnings"][0]["detail"]


_BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
)


@pytest.mark.parametrize(
    ("filename", "content", "code"),
    [
        ("a.yaml", b"", "file_empty"),
        ("a.yaml", b"# nothing\n", "train_config_invalid"),
        ("a.yaml", b"- a\n", "train_config_invalid"),
        ("a.yaml", b"\x00\x01\xff", "train_config_invalid"),
        ("a.yaml", b"a: [", "train_config_invalid"),
        ("a.yaml", b"a: !!python/name:os.system x", "train_config_invalid"),
        ("a.yaml", _BOMB, "train_config_invalid"),
        ("a.yaml", b"a: 1\na: 2\n", "train_config_invalid"),
        ("a.yaml", b"bf16: maybe\n", "train_config_invalid"),
        ("a.json", b"{}", "train_config_filename"),
        ("yaml", OLD, "train_config_filename"),
        ("a.yaml.exe", OLD, "train_config_filename"),
        ("../a.yaml", OLD, "file_name_invalid"),
        ("/etc/a.yaml", OLD, "file_name_invalid"),
        ("a\\b.yaml", OLD, "file_name_invalid"),
        ("a\x7fb.yaml", OLD, "file_name_invalid"),
        ("x" * 10_000 + ".yaml", OLD, "file_name_invalid"),
        ("", OLD, "file_missing"),
    ],
)
async def test_a_bad_file_is_refused_and_nothing_stored(
    http: httpx.AsyncClient, world: World, filename: str, content: bytes, code: str
) -> None:
    for language in ("zh", "en"):
        answer = await put(http, content, filename, **{"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (PROBLEMS[code].status, code), answer.text
        assert 400 <= answer.status_code < 500
        assert len(answer.content) < 5_000 or code == "train_config_filename"
    assert stored(world) == set()
    assert (await http.get(f"{HERE}/versions")).json() == []


async def test_a_bad_body_is_refused_and_nothing_stored(http: httpx.AsyncClient, world: World) -> None:
    answers = [
        (await http.put(HERE, files={"other": ("a.yaml", OLD)}), "invalid_body"),
        (await http.put(HERE, files=[("file", ("a.yaml", OLD)), ("file", ("b.yaml", OLD))]), "several_files"),
        (await http.put(HERE, files={"file": ("a.yaml", OLD)}, data={"x": "y"}), "invalid_body"),
        (await http.put(HERE, json={"a": 1}), "unsupported_media_type"),
        (
            await http.put(HERE, content=OLD, headers={"Content-Type": "application/yaml"}),
            "unsupported_media_type",
        ),
        (await http.put(HERE), "unsupported_media_type"),
        (
            await http.put(HERE, content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}),
            "multipart_invalid",
        ),
    ]
    for answer, code in answers:
        assert (answer.status_code, answer.json()["code"]) == (PROBLEMS[code].status, code)
        assert 400 <= answer.status_code < 500
    assert stored(world) == set()


async def test_the_limit(http: httpx.AsyncClient, world: World) -> None:
    limit = world.parts.edge.uploads.config_limit
    assert limit == 5 * 1024 * 1024
    fits = OLD + b"#" * (limit - len(OLD))
    assert (await put(http, fits + b"#")).status_code == 413

    async def endless() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.yaml"\r\n\r\n'
        for _ in range(limit // 65_536 + 2):
            yield b"#" * 65_536

    answer = await http.put(HERE, content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert stored(world) == set()
    assert (await put(http, fits)).status_code == 200


async def test_the_same_key_uploads_once(http: httpx.AsyncClient, world: World) -> None:
    first = await put(http, OLD, **{"Idempotency-Key": "k1"})
    again = await put(http, OLD, **{"Idempotency-Key": "k1"})
    assert again.json() == first.json()
    other = await put(http, NEW, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "command_id_reused")
    assert len((await http.get(f"{HERE}/versions")).json()) == 1
    assert len(stored(world)) == 1


async def test_errors_tell_line_and_column(http: httpx.AsyncClient) -> None:
    answer = await put(http, b"stage: sft\nlora_rank: eight\n")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["line"], error["column"]) == ("/lora_rank", 2, 12)
    assert "第 2 行第 12 列" in answer.json()["detail"]


# Of a dataset.


async def made(http: httpx.AsyncClient) -> str:
    return f"/v1/datasets/{(await http.post('/v1/datasets', json={'name': 'pairs'})).json()['id']}"


async def test_a_dataset_has_a_configuration(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    answer = await put(http, OLD, path=f"{dataset}/train-config")
    assert answer.status_code == 200, answer.text
    told = answer.json()["train_config"]
    shown = (await http.get(dataset)).json()["train_config"]
    assert shown == {name: told[name] for name in ("filename", "uploaded_at", "size")}
    await put(http, NEW, "b.yaml", path=f"{dataset}/train-config")
    assert (await http.get(f"{dataset}/train-config/content")).content == NEW
    before = answer.headers["Event-Position"]
    assert (await http.get(f"{dataset}/train-config/content", params={"as_of": before})).content == OLD
    assert (await http.get(HERE)).status_code == 404, "that is the ledger's own"
    gone = await http.delete(f"{dataset}/train-config")
    assert (gone.status_code, gone.json()) == (200, {"status": "train_config_deleted"})
    assert (await http.get(dataset)).json()["train_config"] is None
    assert (await http.get(f"{dataset}/train-config/content")).status_code == 404
    assert (await http.delete(f"{dataset}/train-config")).json()["code"] == "dataset_train_config_missing"
    assert len(stored(world)) == 2
    assert (await http.delete(dataset)).status_code == 200
    await eventually(lambda: gone_from(world))


async def gone_from(world: World) -> bool:
    return not stored(world)


async def test_no_dataset_no_configuration(http: httpx.AsyncClient, world: World) -> None:
    for dataset in ("/v1/datasets/93f22d88-9d39-4f71-a3b1-0f41d396a4f7", "/v1/datasets/x"):
        for answer in (
            await put(http, path=f"{dataset}/train-config"),
            await http.get(f"{dataset}/train-config/content"),
            await http.delete(f"{dataset}/train-config"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")
    dataset = await made(http)
    assert (await put(http, b"- a", path=f"{dataset}/train-config")).status_code == 400
    assert stored(world) == set()


# In a run.


async def upload(http: httpx.AsyncClient, dataset: str, name: str = "train.jsonl", content: bytes = b"{}\n") -> Any:
    answer = await http.put(f"{dataset}/files", files={"file": (name, content)})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_run_freezes_what_its_project_names(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    reference = f"dataset:{dataset.rpartition('/')[2]}"
    project = {**QWEN, "dataset_name": reference, "training_yaml_name": "train-config"}
    assert (await http.post("/projects", json=project)).status_code == 201
    refused = await http.post("/projects/qwen-finetune/runs")
    assert (refused.status_code, refused.json()["code"]) == (400, "assets_missing")
    assert reference in refused.json()["detail"]
    assert "train-config" in refused.json()["detail"]
    file = await upload(http, dataset)
    await put(http, OLD)
    started = await http.post("/projects/qwen-finetune/runs")
    assert started.status_code == 201, started.text
    run = started.json()
    await put(http, NEW)
    digest = hashlib.sha256(OLD).hexdigest()
    assert run["start_command"] == f"bash run_train_full_sft.sh configs/.trainledger/{digest}.yaml"
    assert (run["dataset_version"], run["dataset_sha256"]) == (1, file["sha256"])
    assert (run["train_config_version"], run["train_config_sha256"], run["deidentified"]) == (1, digest, False)
    assert run["logs"][0]["message"] == f"已确认训练资源数据集 {reference}@1/train.jsonl，配置 train-config:1"
    path = f"/projects/qwen-finetune/runs/{run['id']}"
    shown = (await http.get(path)).json()
    assert {name: shown[name] for name in run if name.startswith(("dataset", "train"))} == {
        name: run[name] for name in run if name.startswith(("dataset", "train"))
    }
    for language, said in (("zh", "数据集版本 1"), ("en", "training configuration version 1 (finetune.yaml)")):
        told = (await http.get(f"{path}/explain", headers={"Accept-Language": language})).json()
        assert said in told["chain"][0]["sentence"]
    second = (await http.post("/projects/qwen-finetune/runs")).json()
    assert second["train_config_version"] == 2
    differs = await http.get(f"{path}/config-diff", params={"other": second["id"]})
    assert differs.status_code == 200, differs.text
    assert [one["pointer"] for one in differs.json()["changed"]] == ["/learning_rate"]
    assert [one["pointer"] for one in differs.json()["removed"]] == ["/my_key"]
    by_name = {"dataset_name": f"{file['upload_id']}_train.jsonl", "training_yaml_name": "train-config:1"}
    assert (await http.patch("/projects/qwen-finetune", json=by_name)).status_code == 200
    third = (await http.post("/projects/qwen-finetune/runs")).json()
    assert (third["dataset_sha256"], third["train_config_version"]) == (file["sha256"], 1)
    assert (await http.delete(dataset)).status_code == 200
    again = await http.post("/projects/qwen-finetune/runs")
    assert (again.status_code, again.json()["code"]) == (400, "assets_missing")


async def test_a_run_freezes_its_datasets_configuration(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    name = f"dataset-config:{dataset.rpartition('/')[2]}"
    assert (await http.post("/projects", json={**QWEN, "training_yaml_name": "dataset-config:x"})).status_code == 422
    project = {**QWEN, "training_yaml_name": name}
    assert (await http.post("/projects", json=project)).status_code == 201
    refused = await http.post("/projects/qwen-finetune/runs")
    assert (refused.status_code, refused.json()["code"]) == (400, "assets_missing")
    await put(http, OLD, path=f"{dataset}/train-config")
    run = (await http.post("/projects/qwen-finetune/runs")).json()
    digest = hashlib.sha256(OLD).hexdigest()
    assert run["start_command"] == f"bash run_train_full_sft.sh configs/.trainledger/{digest}.yaml"
    told = (run["training_yaml"], run["train_config_version"], run["train_config_sha256"])
    assert told == (f"{name}@1", None, digest)
    path = f"/projects/qwen-finetune/runs/{run['id']}"
    shown = (await http.get(path)).json()
    assert (shown["training_yaml"], shown["train_config_version"], shown["train_config_sha256"]) == told
    chain = (await http.get(f"{path}/explain", headers={"Accept-Language": "en"})).json()["chain"]
    assert "the dataset's training configuration version 1 (finetune.yaml)" in chain[0]["sentence"]


async def test_equal_configurations_are_files_of_their_own(http: httpx.AsyncClient, world: World) -> None:
    """With one key for all of them too: deleting one dataset must not take what another or the ledger names."""
    one, other = await made(http), await made(http)
    for key in (None, "k1"):
        headers = {} if key is None else {"Idempotency-Key": key}
        for path in (HERE, f"{one}/train-config", f"{other}/train-config"):
            answer = await put(http, OLD, path=path, **headers)
            assert answer.status_code == (200 if key is None or path == HERE else 422), answer.text
    assert len(stored(world)) == 4
    assert (await http.delete(one)).status_code == 200
    assert len(stored(world)) == 3
    for path in (f"{HERE}/content", f"{other}/train-config/content"):
        assert (await http.get(path)).content == OLD


async def test_what_cannot_be_compared(http: httpx.AsyncClient, qwen: dict[str, Any]) -> None:
    run = (await http.post("/projects/qwen-finetune/runs")).json()
    path = f"/projects/qwen-finetune/runs/{run['id']}/config-diff"
    assert (await http.get(path)).status_code == 400
    unknown = await http.get(path, params={"other": "93f22d88-9d39-4f71-a3b1-0f41d396a4f7"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "run_not_found")
    itself = await http.get(path, params={"other": run["id"]})
    assert (itself.status_code, itself.json()["code"]) == (404, "run_config_missing")
