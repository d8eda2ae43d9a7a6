"""Every setting, declared once: its name, default and meaning; read from the environment and one YAML file."""

from __future__ import annotations

import os
import re
import shlex
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from services.runtime.settings.deployment import DeploymentSettings, port_range
from services.runtime.settings.kinds import SettingRefused, hosts
from services.runtime.settings.training import labels

__all__ = [
    "DESCRIPTIONS",
    "ENVIRONMENT_NAMES",
    "SettingRefused",
    "Settings",
    "load",
    "markdown",
    "shown",
    "without_secrets",
]


class Settings(DeploymentSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a process is told from outside, all of it. `load` is the way to make one."""


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


def without_secrets(value: object) -> str:
    """A setting's value as it may be shown: passwords are left out of its URLs, and what NATS takes for a token."""
    shown = [_PASSWORD.sub(r"\1***\2", url) for url in re.split(r",(?=\s*\w+://)", str(value))]
    return _PASSWORD_IN_QUERY.sub(r"\1***", ",".join(shown))


def shown(value: object) -> str:
    """A setting's value as a shell takes it, without secrets; empty where it is unset."""
    if value is None:
        return ""
    return shlex.quote(str(value).lower() if isinstance(value, bool) else without_secrets(value))


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
# Of fields that take one of a few words: those in small letters, as any case will do, to what they are.
_CHOICES: dict[str, dict[str, str]] = {
    field: {
        choice.casefold(): choice for part in get_args(hint) for choice in get_args(part) if isinstance(choice, str)
    }
    for field, hint in _HINTS.items()
}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
# `user:password@` whatever the password holds; a name alone is a token to NATS, and no secret to a database.
_PASSWORD = re.compile(r"(://[^/@:]*:|(?:nats|tls)://(?=[^/@:]*@)).*(@)")
_PASSWORD_IN_QUERY = re.compile(r"([?&]\w*passw(?:or)?d=)[^&]*", re.IGNORECASE)
_FIELDS_OF_TEMPLATES = {
    "start_command_template": {"training_yaml_name", "dataset_name"},
    "vllm_cmd_template": {"model_path", "host", "port", "gpu_id", "extra_args"},
}


def _read_yaml(path: Path) -> dict[str, object]:
    import yaml  # most starts have no file

    try:
        text = path.read_text(encoding="utf-8")
        content, top = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)  # the first knows each key once
    except (OSError, UnicodeDecodeError) as error:
        raise SettingRefused(f"The configuration file {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise SettingRefused(f"The configuration file {path} is not YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingRefused(f"The configuration file {path} must be a mapping of settings to values.")
    keys = [key.value for key, _ in top.value] if top is not None else []
    if len(keys) > len(content):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SettingRefused(f"The configuration file {path} has the setting {twice!r} twice.")
    for key in content:
        if key not in ENVIRONMENT_NAMES:
            raise SettingRefused(f"The configuration file {path} has the unknown setting {key!r}.")
    return {key: value for key, value in content.items() if value is not None}


def _converted(field: str, value: object, source: str) -> object:
    if _HINTS[field] is not bool and isinstance(value, str):
        value = value.strip()
        value = _CHOICES[field].get(value.casefold(), value)
    try:
        return msgspec.convert(value, type=_HINTS[field], strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        if choices := _CHOICES[field]:
            raise SettingRefused(f"{source} is {value!r}, but must be one of {', '.join(choices.values())}.") from None
        told = "" if field.endswith("_url") else f" ({without_secrets(value)!r})"
        reason = re.sub(
            r"`(int|float|bool|str)(?: \| null)?`(?:, got `\w+`)?", lambda kind: _KINDS[kind[1]], str(error)
        )
        if allowed := (_meta(field).extra or {}).get("allowed"):  # an expression is not for users to read
            reason = f"expected {allowed}"
        raise SettingRefused(f"{source}{told} cannot be used: {_lower(reason)}.") from None


def _lower(sentence: str) -> str:
    """A sentence as the rest of one."""
    return sentence[:1].lower() + sentence[1:]


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
    hosts(settings.allowed_hosts)
    labels(settings.node_labels)
    port_range(settings.deploy_ports)
    if settings.models_dir is not None and not settings.models_dir.is_dir():
        raise SettingRefused(f"TRAINLEDGER_MODELS_DIR names {settings.models_dir}, which is not a directory.")
    for field, known in _FIELDS_OF_TEMPLATES.items():
        _check_template(ENVIRONMENT_NAMES[field], getattr(settings, field), known)
    if "{port}" not in settings.vllm_cmd_template:
        raise SettingRefused("VLLM_CMD_TEMPLATE must have the field {port}, or no server of a model is ever found.")
    _check_no_shell(settings.vllm_cmd_template)


def _check_no_shell(template: str) -> None:
    """A field inside a quoted command would be read by whatever shell runs that, with all that a caller put into it."""
    for word in shlex.split(template):
        if re.search(r"\s", word) and re.search(r"(?<!\{)\{\w", word):
            raise SettingRefused(f"VLLM_CMD_TEMPLATE has a field inside the quoted text {word!r}; no shell runs it.")


def _is_nats_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0
    except ValueError:  # a port beyond 65535, half an IPv6 address
        return False
    return bool(usable) and not re.search(r"\s", url)


def _check_template(name: str, template: str, known: set[str]) -> None:
    try:
        fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
        # Fields are filled in plainly: one with a conversion or a format is none that is known.
        used = {
            f"{field}{f'!{convert}' if convert else ''}{f':{form}' if form else ''}" for field, form, convert in fields
        }
        shlex.split(template)
    except ValueError as error:
        raise SettingRefused(f"{name} cannot be used: {_lower(str(error))}.") from None
    if unknown := sorted(used - known):
        raise SettingRefused(f"{name} has the unknown field {{{unknown[0]}}}; it may have {', '.join(sorted(known))}.")
