"""Every setting, declared once: its name, default and meaning; read from the environment and one YAML file."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

DOCUMENTED_TRAINING_DIR = Path("/data1/qwen2.5-14bxxxx")

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Text = Annotated[str, Meta(min_length=1)]


class SettingRefused(Exception):
    """A setting that cannot be used. The text is one sentence for the user that names it and holds no secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a process is told from outside.

    A field's title is its environment variable, its name the key in the YAML file. `load` is the way to make one.
    """

    host: Annotated[
        Text, Meta(title="TRAINLEDGER_HOST", description="Address to serve HTTP on; any but loopback needs a token")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(title="TRAINLEDGER_PORT", description="Port to serve HTTP on")] = 8000
    data_dir: Annotated[
        Path,
        Meta(
            title="TRAINLEDGER_DATA_DIR",
            description="Where everything is kept; once set, the database and the deployment logs lie there too",
        ),
    ] = Path(".trainledger")
    training_db_url: Annotated[
        Text, Meta(title="TRAINING_DB_URL", description="SQLAlchemy URL of the read models (SQLite, PostgreSQL, MySQL)")
    ] = "sqlite:///./training.db"
    nats_url: Annotated[
        str | None,
        Meta(
            title="NATS_URL",
            description="NATS server or cluster, comma-separated; unset: an embedded server is started",
        ),
    ] = None
    nats_credentials: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_NATS_CREDENTIALS",
            description="File with the nkey seed to sign in with at NATS_URL; unset: the embedded server's own",
        ),
    ] = None
    nats_admin_credentials: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_NATS_ADMIN_CREDENTIALS",
            description="File with the nkey seed that may create streams at NATS_URL; only `prepare` signs in with it",
        ),
    ] = None
    nats_port: Annotated[
        Port | None,
        Meta(
            title="TRAINLEDGER_NATS_PORT", description="Port of the embedded NATS server; unset: 4222 or any free one"
        ),
    ] = None
    nats_replicas: Annotated[
        Annotated[int, Meta(ge=1, le=5)],
        Meta(title="TRAINLEDGER_NATS_REPLICAS", description="Copies that a NATS cluster keeps of each new stream"),
    ] = 1
    host_training_dir: Annotated[
        Path | None,
        Meta(
            title="HOST_TRAINING_DIR",
            description="Directory of datasets, configurations and training scripts; unset: "
            f"`{DOCUMENTED_TRAINING_DIR}` where it exists, else a copy of the example in the data directory",
        ),
    ] = None
    executor: Annotated[
        Literal["auto", "docker", "local"],
        Meta(
            title="EXECUTOR", description="Where trainings run; `auto` is docker where the container runs, else local"
        ),
    ] = "auto"
    docker_container_name: Annotated[
        Text, Meta(title="DOCKER_CONTAINER_NAME", description="Container that trainings run in")
    ] = "qwen2.5-14b-instruct_xpytorch_full_sft"
    docker_working_dir: Annotated[
        Text, Meta(title="DOCKER_WORKING_DIR", description="Working directory of trainings in the container")
    ] = "KTIP_Release_2.1.0/train/llm"
    start_command_template: Annotated[
        Text,
        Meta(
            title="START_COMMAND_TEMPLATE",
            description="How a training is started; fields `training_yaml_name`, `dataset_name`",
        ),
    ] = "bash run_train_full_sft.sh {training_yaml_name}"
    allow_start_command: Annotated[
        bool,
        Meta(
            title="ALLOW_START_COMMAND",
            description="Whether a request may bring its own start command, which is arbitrary execution",
        ),
    ] = False
    concurrent_runs: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            title="TRAINLEDGER_CONCURRENT_RUNS",
            description="Most trainings at a time on this machine, further ones wait in order; unset: any number",
        ),
    ] = None
    max_wall_seconds: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            title="TRAINLEDGER_MAX_WALL_SECONDS",
            description="Longest that any training may run, then it is stopped and `failed`; unset: no bound",
        ),
    ] = None
    launch_retries: Annotated[
        Annotated[int, Meta(ge=0, le=100)],
        Meta(title="TRAINLEDGER_LAUNCH_RETRIES", description="How often a launch that failed is tried again"),
    ] = 0
    run_output: Annotated[
        Literal["own", "shared"],
        Meta(
            title="TRAINLEDGER_RUN_OUTPUT",
            description="`own`: each run is told an output directory of its own; `shared`: it writes where the YAML "
            "says, one run at a time",
        ),
    ] = "own"
    deploy_log_dir: Annotated[
        Path, Meta(title="DEPLOY_LOG_DIR", description="Directory of the logs of served models")
    ] = Path("deploy_logs")
    vllm_cmd_template: Annotated[
        Text,
        Meta(
            title="VLLM_CMD_TEMPLATE",
            description="How a model is served; fields `model_path`, `port`, `gpu_id`, `extra_args`",
        ),
    ] = "vllm serve {model_path} --port {port} {extra_args}"
    node: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
        Meta(
            title="TRAINLEDGER_NODE", description="Name of this machine among the training nodes; unset: its host name"
        ),
    ] = msgspec.field(default_factory=lambda: node_name(platform.node()))
    node_labels: Annotated[
        str | None,
        Meta(
            title="TRAINLEDGER_NODE_LABELS",
            description="What else is to be known of this machine, like `gpu=a100,site=sh`",
        ),
    ] = None
    node_lost_after: Annotated[
        Annotated[float, Meta(ge=0)],
        Meta(
            title="TRAINLEDGER_NODE_LOST_AFTER",
            description="Seconds without a heartbeat after which a node is lost and its runs are `failed`; 0: never",
        ),
    ] = 300.0
    run_wait_seconds: Annotated[
        Seconds,
        Meta(title="TRAINLEDGER_RUN_WAIT_SECONDS", description="How long `POST …/runs` waits for running or failed"),
    ] = 10.0
    projection_wait_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_PROJECTION_WAIT_SECONDS",
            description="How long an answer waits for the read models to show what it says",
        ),
    ] = 5.0
    command_wait_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_COMMAND_WAIT_SECONDS",
            description="How long a repeated request waits for the first with its Idempotency-Key, then 409",
        ),
    ] = 15.0
    body_limit_bytes: Annotated[
        Annotated[int, Meta(ge=1024)],
        Meta(title="TRAINLEDGER_BODY_LIMIT_BYTES", description="Largest body of a JSON request"),
    ] = 1_048_576
    allowed_hosts: Annotated[
        str | None,
        Meta(
            title="TRAINLEDGER_ALLOWED_HOSTS",
            description="Further hosts to answer for, comma-separated, as a proxy in front needs; "
            "loopback names are answered always",
        ),
    ] = None
    run_log_lines: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)],
        Meta(title="TRAINLEDGER_RUN_LOG_LINES", description="Most log lines in the detail of a run, the newest"),
    ] = 500
    stop_seconds: Annotated[
        Seconds,
        Meta(title="TRAINLEDGER_STOP_SECONDS", description="How long a stopping process may finish what it is at"),
    ] = 10.0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Meta(title="TRAINLEDGER_LOG_LEVEL", description="Least level of the service's own log lines"),
    ] = "INFO"


def load(
    environment: Mapping[str, str] = os.environ,
    config: Path | None = None,
    options: Mapping[str, object] | None = None,
) -> Settings:
    """The settings in force: command line `options` (by field name), then the environment, then the YAML file.

    An empty environment variable counts as unset. The file is `config`, else the one TRAINLEDGER_CONFIG names.
    Raises SettingRefused.
    """
    config_name = environment.get("TRAINLEDGER_CONFIG", "")
    if config is None and config_name:
        config = Path(config_name)
    given: dict[str, object] = {}
    for field, value in (_read_yaml(config) if config else {}).items():
        given[field] = _converted(field, value, f"{field} in {config}")
    for field, name in ENVIRONMENT_NAMES.items():
        if text := environment.get(name, ""):
            given[field] = _converted(field, text, name)
    for field, value in (options or {}).items():
        if value is not None:
            given[field] = _converted(field, value, f"--{field.replace('_', '-')}")
    if "data_dir" in given:
        data_dir = Path(str(given["data_dir"])).absolute()
        given.setdefault("training_db_url", f"sqlite:///{data_dir}/training.db")
        given.setdefault("deploy_log_dir", data_dir / "deploy_logs")
    settings = Settings(**given)  # type: ignore[arg-type]  # each value was converted to its field's type
    _check(settings)
    return msgspec.structs.replace(settings, data_dir=settings.data_dir.absolute())


def node_name(host: str) -> str:
    """A host name as one token of a NATS subject."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", host.partition(".")[0])[:64] or "node"


def labels(text: str | None) -> dict[str, str]:
    """Of `name=value,…`. Raises SettingRefused."""
    found: dict[str, str] = {}
    for part in (text or "").split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not equals or not re.fullmatch(r"[A-Za-z0-9_./-]{1,63}", name) or name in found or len(value) > 200:
            raise SettingRefused(
                f"TRAINLEDGER_NODE_LABELS has {part.strip()!r}, but must be like gpu=a100,site=sh, each name once."
            )
        found[name] = value
    return found


def without_secrets(value: object) -> str:
    """A setting's value as it may be shown: a URL's password is left out."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", str(value))


def markdown() -> str:
    """The table of all settings, as the README shows it."""
    lines = ["| environment | YAML | default | meaning |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(Settings):
        if field.default_factory is not msgspec.NODEFAULT or field.default is None:
            default = ""
        else:
            default = f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
        lines.append(f"| `{ENVIRONMENT_NAMES[field.name]}` | `{field.name}` | {default} | {DESCRIPTIONS[field.name]} |")
    return "\n".join(lines)


def _meta(field: str) -> Meta:
    return next(meta for meta in reversed(_HINTS[field].__metadata__) if isinstance(meta, Meta) and meta.title)


_HINTS: dict[str, Any] = get_type_hints(Settings, include_extras=True)
ENVIRONMENT_NAMES: dict[str, str] = {field: str(_meta(field).title) for field in Settings.__struct_fields__}
DESCRIPTIONS: dict[str, str] = {field: str(_meta(field).description) for field in Settings.__struct_fields__}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
_FIELDS_OF_TEMPLATES = {
    "start_command_template": {"training_yaml_name", "dataset_name"},
    "vllm_cmd_template": {"model_path", "port", "gpu_id", "extra_args"},
}


def _read_yaml(path: Path) -> dict[str, object]:
    import yaml  # most starts have no file

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingRefused(f"The configuration file {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise SettingRefused(f"The configuration file {path} is not YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingRefused(f"The configuration file {path} must be a mapping of settings to values.")
    for key in content:
        if key not in ENVIRONMENT_NAMES:
            raise SettingRefused(f"The configuration file {path} has the unknown setting {key!r}.")
    return {key: value for key, value in content.items() if value is not None}


def _converted(field: str, value: object, source: str) -> object:
    if _HINTS[field] is not bool and isinstance(value, str):
        value = value.strip()
    try:
        return msgspec.convert(value, type=_HINTS[field], strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        choices = [choice for part in get_args(_HINTS[field]) for choice in get_args(part) if isinstance(choice, str)]
        if choices:
            raise SettingRefused(f"{source} is {value!r}, but must be one of {', '.join(choices)}.") from None
        shown = "" if field.endswith("_url") else f" ({without_secrets(value)!r})"
        reason = re.sub(
            r"`(int|float|bool|str)(?: \| null)?`(?:, got `\w+`)?", lambda kind: _KINDS[kind[1]], str(error)
        )
        reason = reason[:1].lower() + reason[1:]
        raise SettingRefused(f"{source}{shown} cannot be used: {reason}.") from None


def _path(kind: type, value: object) -> object:
    """Paths are text with an optional `~`."""
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise msgspec.ValidationError("expected a path")


def _check(settings: Settings) -> None:
    if not re.match(r"^[a-z][a-z0-9_+]*://", settings.training_db_url):
        raise SettingRefused(
            "TRAINING_DB_URL is not a database URL: it must look like sqlite:///./training.db or "
            "postgresql+psycopg://user:password@host/database."
        )
    for url in (settings.nats_url or "").split(",") if settings.nats_url else []:
        if not _is_nats_url(url.strip()):
            raise SettingRefused("NATS_URL is not a NATS URL: it must look like nats://host:4222.")
    for field in ("nats_credentials", "nats_admin_credentials"):
        path: Path | None = getattr(settings, field)
        if path is not None and not path.is_file():
            raise SettingRefused(f"{ENVIRONMENT_NAMES[field]} names {path}, which is not a file.")
    if settings.host_training_dir is not None and not settings.host_training_dir.is_dir():
        raise SettingRefused(f"HOST_TRAINING_DIR names {settings.host_training_dir}, which is not a directory.")
    labels(settings.node_labels)
    for field, known in _FIELDS_OF_TEMPLATES.items():
        _check_template(ENVIRONMENT_NAMES[field], getattr(settings, field), known)


def _is_nats_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0
    except ValueError:  # a port beyond 65535, half an IPv6 address
        return False
    return bool(usable) and not re.search(r"\s", url)


def _check_template(name: str, template: str, known: set[str]) -> None:
    import shlex
    import string

    try:
        fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
        # Fields are filled in plainly: one with a conversion or a format is none that is known.
        used = {
            f"{field}{f'!{convert}' if convert else ''}{f':{form}' if form else ''}" for field, form, convert in fields
        }
        shlex.split(template)
    except ValueError as error:
        raise SettingRefused(f"{name} cannot be used: {error}.") from None
    if unknown := sorted(used - known):
        raise SettingRefused(f"{name} has the unknown field {{{unknown[0]}}}; it may have {', '.join(sorted(known))}.")
