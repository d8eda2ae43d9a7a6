"""YAML as JSON has it: one value for each spelling, no aliases, no tags, and no key twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from contracts.problems import Wrong
from services.runtime.complaints import pointer
from services.runtime.deid.refusals import PolicyRefused

_MOST_FAULTS = 20
_MOST_NODES, _DEEPEST = 3000, 16
"""Twice what the largest policy has; of keys, lists and objects too, as each takes some microseconds to read."""
_TEXT = "tag:yaml.org,2002:str"
# Everything else is text: a version such as 2024-01-01, `yes`, and numbers that YAML 1.1 has in base 8 or 60.
_VALUES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
}


def parsed(text: bytes) -> object:
    """What the document holds. Raises PolicyRefused."""
    import yaml

    class Strict(yaml.SafeLoader):
        """Aliases can grow a small document beyond all bounds."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the library has it
        nodes = depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise PolicyRefused(Wrong("", "不支持 YAML 别名", "must not use YAML aliases"))
            if self.peek_event().tag is not None:  # type: ignore[no-untyped-call]
                raise PolicyRefused(Wrong("", "不支持 YAML 标签", "must not use YAML tags"))
            self.nodes += 1
            self.depth += 1
            if self.depth > _DEEPEST:
                raise PolicyRefused(Wrong("", "嵌套过深", "is nested too deeply"))
            if self.nodes > _MOST_NODES:
                zh, en = f"键与值不得超过 {_MOST_NODES} 个", f"must have at most {_MOST_NODES} keys and values"
                raise PolicyRefused(Wrong("", zh, en))
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_document(self, node: Any) -> Any:
            if faults := list(islice(_faults(node), _MOST_FAULTS)):
                raise PolicyRefused(*faults)
            return super().construct_document(node)

    for name, (expression, first) in _VALUES.items():
        Strict.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{expression})\Z"), first)
    try:
        return yaml.load(text.decode(), Strict)  # noqa: S506 - a SafeLoader, only stricter
    except UnicodeDecodeError:
        raise PolicyRefused(Wrong("", "不是有效的 UTF-8 文本", "is not valid UTF-8")) from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        at = "" if mark is None else f" {mark.line + 1}:{mark.column + 1}"
        raise PolicyRefused(Wrong("", f"不是有效的 YAML{at}", f"is not valid YAML{at}")) from None


def _faults(node: Any, *path: str) -> Iterator[Wrong]:
    """What no value of JSON has: keys that are no text or stand there twice, and halves of characters."""
    if node.id == "scalar":
        if not _is_unicode(node.value):
            yield Wrong(pointer(*path), "不是有效的 Unicode 文本", "is not valid Unicode")
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            yield from _faults(value, *path, str(number))
    else:
        yield from _faults_of_keys([key for key, _ in node.value], *path)
        for key, value in node.value:
            if _is_name(key):
                yield from _faults(value, *path, key.value)


def _faults_of_keys(keys: list[Any], *path: str) -> Iterator[Wrong]:
    counted = Counter(key.value for key in keys if key.id == "scalar")
    for key in keys:
        if key.id != "scalar" or not _is_unicode(key.value):
            yield Wrong(pointer(*path), "有的键不是文本", "has a key that is no text")
        elif key.tag != _TEXT:
            yield Wrong(pointer(*path, key.value), "键应为文本，请加引号", "is a key, which must be text: quote it")
        elif counted.pop(key.value, 1) > 1:
            yield Wrong(pointer(*path, key.value), "重复出现", "is given more than once")


def _is_name(key: Any) -> bool:
    return key.id == "scalar" and _is_unicode(key.value)


def _is_unicode(text: str) -> bool:
    """Escapes of YAML can have half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
