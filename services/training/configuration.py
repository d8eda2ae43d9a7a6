"""The YAML of a run: kept as it lay there, and as the run is to use it, with an output directory of its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from contracts.train_config import LARGEST
from services.training.artifacts import Found, resolve

CONFIG_FILE = "TRAINLEDGER_CONFIG_FILE"  # the environment variable that names the run's own YAML
_KEPT = "config.yaml"  # what the run is to use
_ORIGINAL = "original.yaml"


class Configuration(msgspec.Struct, frozen=True):
    """`copy` is the YAML for this run, kept beside its output; `output_dir` is what the original names, none where it
    names none. `original` is there where the two differ."""

    copy: Found
    output_dir: str | None
    original: Found | None = None

    @property
    def found(self) -> list[Found]:
        return [self.copy] if self.original is None else [self.copy, self.original]


def keep_configuration(
    root: Path,
    name: str,
    directory: Path,
    *,
    own_directory: str | None = None,
    resume: str | None = None,
    filename: str | None = None,
) -> Configuration | None:
    """Writes the YAML of a run into its directory, once: it is what the run was launched with, whatever becomes of it.

    The copy's output_dir has the further part `own_directory`, and its resume_from_checkpoint is `resume`, where they
    are given. `filename` is what it is called, where not as `name` ends. None where the YAML is not a regular file of
    a sensible size inside `root` any more.
    """
    original, copy = directory / _ORIGINAL, directory / _KEPT
    if not original.exists():
        source = resolve(root, name)
        if source is None or not source.is_file() or source.stat().st_size > LARGEST:
            return None
        _write(original, source.read_bytes())
    content = original.read_bytes()
    named = _value(content, "output_dir")
    if not copy.exists():
        changes = {}
        if named and own_directory:
            changes["output_dir"] = os.path.join(named, own_directory)  # noqa: PTH118 - as the YAML spells it
        if resume:
            changes["resume_from_checkpoint"] = resume
        _write(copy, derived(content, changes) or content)
    used = copy.read_bytes()
    filename = filename or Path(name).name
    if used == content:
        return Configuration(_found(filename, "config", copy, used), named)
    return Configuration(
        _found(filename, "config", copy, used), named, _found(filename, "config_original", original, content)
    )


def kept(directory: Path) -> Path | None:
    """The YAML that a run is to use, none where it has none."""
    path = directory / _KEPT
    return path if path.exists() else None


def derived(content: bytes, changes: Mapping[str, str]) -> bytes | None:
    """The YAML with these top-level values and otherwise as it was, comments too; none where that cannot be told for
    certain: it is no plain mapping, or a value is an alias or no scalar."""
    import yaml

    text, top = _composed(content)
    if top is None or text is None or top.flow_style or not top.value:
        return None
    edits: list[tuple[int, int, str]] = []
    found: set[str] = set()
    for key, value in top.value:
        if key.value not in changes:
            continue
        found.add(key.value)
        begin, end = value.start_mark.index, value.end_mark.index
        if not isinstance(value, yaml.ScalarNode) or begin < key.end_mark.index:
            return None
        spaced = " " if begin == end else ""
        line_end = "\n" if text[begin:end].endswith("\n") else ""
        edits.append((begin, end, spaced + json.dumps(changes[key.value], ensure_ascii=False) + line_end))
    start, indent = top.start_mark.index, " " * top.start_mark.column
    edits += (
        (start, start, f"{name}: {json.dumps(value, ensure_ascii=False)}\n{indent}")
        for name, value in changes.items()
        if name not in found
    )
    changed = text
    for begin, end, replacement in sorted(edits, key=lambda edit: edit[0], reverse=True):
        changed = changed[:begin] + replacement + changed[end:]
    result = changed.encode()
    _, now = _composed(result)
    whole = now is not None and len(now.value) == len(top.value) + len(changes.keys() - found)
    return result if whole and all(_value(result, name) == value for name, value in changes.items()) else None


def _value(content: bytes, name: str) -> str | None:
    """The last top-level scalar of that name, none where there is none or it could be no path."""
    import yaml

    _, top = _composed(content)
    said: str | None = None
    for key, value in top.value if top is not None else ():
        if key.value == name:
            said = value.value if isinstance(value, yaml.ScalarNode) else None
    return said if said and "\0" not in said else None


def _composed(content: bytes) -> tuple[str | None, Any]:
    """Composed only: constructing the values could expand a small file of merged aliases into gigabytes."""
    import yaml  # only where runs are launched

    try:
        text = content.decode("utf-8-sig")
        top = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None, None  # the training says better what is wrong with it
    return (text, top) if isinstance(top, yaml.MappingNode) else (None, None)


def _found(name: str, type_: str, path: Path, content: bytes) -> Found:
    return Found(name, type_, str(path), len(content), sha256=hashlib.sha256(content).hexdigest())


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(content)
    draft.rename(path)
