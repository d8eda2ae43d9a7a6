"""Where settings come from, and how a wrong one is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from services.cli import main
from services.runtime.handover import decode, encode
from services.runtime.settings import ENVIRONMENT_NAMES, SettingRefused, Settings, load, markdown, without_secrets
from services.runtime.settings.kinds import hosts
from services.runtime.settings.unknown import unknown_settings

DOCUMENTED = {
    "TRAINING_DB_URL": "sqlite:///./training.db",
    "DEPLOY_LOG_DIR": "deploy_logs",
    "NATS_URL": None,
    "HOST_TRAINING_DIR": None,
    "EXECUTOR": "auto",
    "DOCKER_CONTAINER_NAME": "qwen2.5-14b-instruct_xpytorch_full_sft",
    "DOCKER_WORKING_DIR": "KTIP_Release_2.1.0/train/llm",
    "START_COMMAND_TEMPLATE": "bash run_train_full_sft.sh {training_yaml_name}",
    "ALLOW_START_COMMAND": False,
}


def test_documented_names_and_defaults() -> None:
    fields = {name: field for field, name in ENVIRONMENT_NAMES.items()}
    loaded = load({})
    for name, default in DOCUMENTED.items():
        value = getattr(loaded, fields[name])
        assert (str(value) if isinstance(value, Path) else value) == default
    assert "VLLM_CMD_TEMPLATE" in fields


def test_options_before_environment_before_file(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("port: 1001\nhost: localhost\nexecutor: docker\nallow_start_command: true\nnode:\n")
    environment = {"TRAINLEDGER_PORT": "1002", "EXECUTOR": "local", "TRAINLEDGER_CONFIG": str(config)}
    loaded = load(environment, options={"port": "1003", "host": None})
    assert (loaded.port, loaded.executor, loaded.host, loaded.allow_start_command) == (1003, "local", "localhost", True)
    assert load({"TRAINLEDGER_PORT": ""}, config=config).port == 1001


def test_the_data_directory_moves_everything(tmp_path: Path) -> None:
    moved = load({"TRAINLEDGER_DATA_DIR": str(tmp_path)})
    assert moved.training_db_url == f"sqlite:///{tmp_path}/training.db"
    assert moved.deploy_log_dir == tmp_path / "deploy_logs"
    kept = load({"TRAINLEDGER_DATA_DIR": str(tmp_path), "TRAINING_DB_URL": "mysql://db/name"})
    assert kept.training_db_url == "mysql://db/name"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"TRAINLEDGER_PORT": "http"}, "TRAINLEDGER_PORT ('http') cannot be used: expected a whole number."),
        ({"TRAINLEDGER_PORT": "70000"}, "TRAINLEDGER_PORT ('70000') cannot be used: expected a whole number <= 65535."),
        ({"ALLOW_START_COMMAND": "maybe"}, "ALLOW_START_COMMAND ('maybe') cannot be used: expected true or false."),
        ({"EXECUTOR": "magic"}, "EXECUTOR is 'magic', but must be one of auto, docker, local."),
        ({"HOST_TRAINING_DIR": "/none"}, "HOST_TRAINING_DIR names /none, which is not a directory."),
        ({"NATS_URL": "http://u:secret@host"}, "NATS_URL is not a NATS URL: it must look like nats://host:4222."),
        ({"TRAINLEDGER_CONFIG": "/none.yaml"}, "The configuration file /none.yaml cannot be read: "),
        ({"START_COMMAND_TEMPLATE": "run {yaml}"}, "START_COMMAND_TEMPLATE has the unknown field {yaml}; it may have "),
        (
            {"START_COMMAND_TEMPLATE": "run {training_yaml_name!r:>9}"},
            "START_COMMAND_TEMPLATE has the unknown ",
        ),
        ({"NATS_URL": "nats://u:secret@host:99999"}, "NATS_URL is not a NATS URL: "),
        ({"NATS_URL": "nats://a,nats://[secret"}, "NATS_URL is not a NATS URL: "),
        ({"NATS_URL": "nats:///secret"}, "NATS_URL is not a NATS URL: "),
        ({"TRAINLEDGER_NATS_PORT": "x"}, "TRAINLEDGER_NATS_PORT ('x') cannot be used: expected a whole number."),
        ({"START_COMMAND_TEMPLATE": "run 'x"}, "START_COMMAND_TEMPLATE cannot be used: no closing quotation."),
        ({"VLLM_CMD_TEMPLATE": "serve {model_path}"}, "VLLM_CMD_TEMPLATE must have the field {port}, "),
        ({"VLLM_CMD_TEMPLATE": "vllm {foo}"}, "VLLM_CMD_TEMPLATE has the unknown field {foo}; it may have "),
        ({"VLLM_CMD_TEMPLATE": "vllm {model_path"}, "VLLM_CMD_TEMPLATE cannot be used: expected '}' before end of "),
        ({"VLLM_CMD_TEMPLATE": "vllm 'x"}, "VLLM_CMD_TEMPLATE cannot be used: no closing quotation."),
        (
            {"TRAINLEDGER_NODE": "训练机一"},
            "TRAINLEDGER_NODE ('训练机一') cannot be used: expected 1 to 64 letters, digits, _ or -.",
        ),
        (
            {"TRAINLEDGER_ALLOWED_HOSTS": "a.b:1,http://x"},
            "TRAINLEDGER_ALLOWED_HOSTS has 'http://x', but must be like ",
        ),
        ({"TRAINLEDGER_ALLOWED_HOSTS": "*"}, "TRAINLEDGER_ALLOWED_HOSTS has '*', but must be like "),
        ({"TRAINING_DB_URL": "secret"}, "TRAINING_DB_URL is not a database URL: "),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_it(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        load(environment)
    assert str(refused.value).startswith(sentence)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_of_a_few_words_is_taken_in_any_case() -> None:
    loaded = load({"TRAINLEDGER_LOG_LEVEL": "debug", "EXECUTOR": "Local"})
    assert (loaded.log_level, loaded.executor) == ("DEBUG", "local")


def test_allowed_hosts_are_names_and_addresses_with_a_port_or_without() -> None:
    assert hosts(" ledger.example.com, gpu_1:8443,[::1]:80,10.0.0.1,") == (
        "ledger.example.com", "gpu_1:8443", "[::1]:80", "10.0.0.1"
    )  # fmt: skip


def test_what_is_shown_can_be_sourced_by_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ENVIRONMENT_NAMES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRAINLEDGER_DATA_DIR", str(tmp_path / "my $HOME"))
    with pytest.raises(SystemExit):
        main(["settings"])
    printed = capsys.readouterr().out
    script = f"set -aeu\n{printed}\nenv -0"
    sourced = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert sourced.returncode == 0, sourced.stderr
    variables = dict(entry.split("=", 1) for entry in sourced.stdout.split("\0") if entry)
    assert load(variables) == load({"TRAINLEDGER_DATA_DIR": str(tmp_path / "my $HOME")})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("prot: 1", "has the unknown setting 'prot'"),
        ("PORT: 1", "has the unknown setting 'PORT'"),
        ("port: 1\nhost: ::1\nport: 2", "has the setting 'port' twice"),
        ("- port", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("port: many", "port in .* cannot be used: expected a whole number"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(content)
    with pytest.raises(SettingRefused, match=sentence):
        load({}, config=config)


def test_a_misspelt_variable_is_told() -> None:
    others = ("PATH", "TRAINLEDGER_RUN", "TRAINLEDGER_CONFIG_FILE", *ENVIRONMENT_NAMES.values())
    assert unknown_settings(("TRAINLEDGER_RUN_GPU", "TRAINLEDGER_COLOUR", *others)) == [
        "The environment variable TRAINLEDGER_COLOUR is no setting and is ignored.",
        "The environment variable TRAINLEDGER_RUN_GPU is no setting and is ignored; is TRAINLEDGER_RUN_GPUS meant?",
    ]


def test_the_command_line_tells_of_a_misspelt_variable_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAINLEDGER_LOG_LEVELS", "hidden")
    with pytest.raises(SystemExit):
        main(["settings"])
    assert capsys.readouterr().err.count("TRAINLEDGER_LOG_LEVELS") == 1


def test_children_get_the_same_settings(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        load({}), nats_credentials=tmp_path / "数据" / "seed.nk", nats_url="nats://a,nats://b"
    )
    assert decode(encode(settings)) == settings


def test_shown_urls_have_no_password() -> None:
    assert without_secrets("postgresql://user:p@ss:word@host/db") == "postgresql://user:***@host/db"
    assert without_secrets("nats://a:b@h1:4222,nats://c:d@h2") == "nats://a:***@h1:4222,nats://c:***@h2"
    assert without_secrets("nats://127.0.0.1:4222") == "nats://127.0.0.1:4222"
    assert without_secrets("nats://token@h1, nats://h2:4222") == "nats://***@h1, nats://h2:4222"
    assert without_secrets("postgresql://user:pa/ss@host/db") == "postgresql://user:***@host/db"
    assert without_secrets("postgresql://user@host:5432/db") == "postgresql://user@host:5432/db"
    assert without_secrets("mysql://host/db?user=a&password=b&x=1") == "mysql://host/db?user=a&password=***&x=1"


def test_the_table_has_every_setting_once() -> None:
    rows = markdown().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(ENVIRONMENT_NAMES.values())
    assert len(set(ENVIRONMENT_NAMES.values())) == len(Settings.__struct_fields__)
