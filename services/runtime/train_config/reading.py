"""YAML that nobody vouches for, as a tree: no tags, no bombs, no repeated keys, and every value with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from contracts.problems import InvalidTrainConfig, Wrong

if TYPE_CHECKING:
    import yaml

MOST_NODES = 50_000  # keys and values, those counted again that an alias repeats
DEEPEST = 32
_MOST_CHARACTERS = 10_000_000  # of all scalars, those counted again that an alias repeats
_LONGEST_NUMBER = 100
_CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f]")
# Directives declare tags, and libyaml takes quadratic time for many. No other line of a mapping begins so.
_DIRECTIVE = re.compile("^%", re.MULTILINE)
# What would be a number of any length: YAML's own forms are not tried on it, they take too long.
_LONG_NUMBER = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0b[01_]+|[0-9._:]+(?:[eE][-+]?[0-9]+)?)", re.ASCII)
_TAG = "tag:yaml.org,2002:"

Kind = Literal["null", "bool", "int", "float", "date", "text", "merge", "list", "mapping"]
_KINDS: dict[str, Kind] = {
    "null": "null", "bool": "bool", "int": "int", "float": "float", "timestamp": "date", "merge": "merge",
}  # fmt: skip


class Node(msgspec.Struct, kw_only=True, eq=False):
    """A value and where it begins, counted from 1. `text` is a scalar as it is spelt; `plain`: without quotes.

    `nodes`, `characters` and `height` measure it with all that is in it, aliases resolved.
    """

    kind: Kind
    line: int
    column: int
    text: str = ""
    plain: bool = False
    items: list[Node] = []
    entries: list[tuple[Node, Node]] = []
    nodes: int = 1
    characters: int = 0
    height: int = 1

    def value(self) -> Any:
        """As JSON has it: dates, numbers that JSON has no spelling for and those beyond 64 bits are text."""
        match self.kind:
            case "mapping":
                return {key.text: value.value() for key, value in self.entries}
            case "list":
                return [item.value() for item in self.items]
            case "null":
                return None
            case "bool":
                return self.text.lower() in ("yes", "true", "on")
            case "int" | "float":
                number = _number(self)
                sayable = abs(number) < 2**63 if self.kind == "int" else number - number == 0
                return number if sayable else self.text
            case _:
                return self.text


def read(content: bytes) -> Node:
    """The one mapping that the document is. Raises InvalidTrainConfig, whatever the bytes are."""
    import yaml  # only where a configuration is looked at

    text = _decoded(content)
    parser = _Tree(yaml, text)
    try:
        root = parser.root()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        raise _invalid(
            f"不是有效的 YAML（{said}）",
            f"is not valid YAML ({said})",
            mark.line + 1 if mark else 1,
            mark.column + 1 if mark else 1,
        ) from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise _invalid(f"不是有效的 YAML（{said}）", f"is not valid YAML ({said})") from None
    if root is None or (root.kind == "null" and not root.text):
        raise _invalid("文件没有内容", "has no content")
    if root.kind != "mapping":
        raise _invalid("最外层必须是键值映射", "must be a mapping of keys to values", root.line, root.column)
    return root


def wrong(zh: str, en: str, node: Node, pointer: str = "") -> Wrong:
    return _wrong(zh, en, node.line, node.column, pointer)


def _wrong(zh: str, en: str, line: int, column: int, pointer: str = "") -> Wrong:
    place_zh, place_en = f"第 {line} 行第 {column} 列：", f"line {line}, column {column}: "
    return Wrong(pointer, place_zh + zh, place_en + en, line, column)


def _invalid(zh: str, en: str, line: int | None = None, column: int = 1) -> InvalidTrainConfig:
    return InvalidTrainConfig(Wrong("", zh, en) if line is None else _wrong(zh, en, line, column))


def _decoded(content: bytes) -> str:
    if not content:
        raise _invalid("文件是空的", "is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(f"不是 UTF-8 文本（第 {line} 行）", f"is not UTF-8 text (line {line})") from None
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise _invalid(f"含有控制字符，不是文本文件（第 {line} 行）", f"holds control characters (line {line})")
    if found := _DIRECTIVE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise _invalid("不允许以 % 开头的行（YAML 指令）", "a line must not begin with % (a directive)", line)
    return text


class _Open(msgspec.Struct, eq=False):
    """A list or mapping that has not come to its end."""

    node: Node
    anchor: str | None
    key: Node | None = None


class _Tree:
    """Takes one event after the other: nothing is built of what goes over a bound, and nothing recurses."""

    def __init__(self, module: Any, text: str) -> None:
        self._yaml = module
        loader = getattr(module, "CSafeLoader", module.SafeLoader)
        self._events: Iterator[Any] = module.parse(text, Loader=loader)
        self._resolvers = module.SafeLoader.yaml_implicit_resolvers
        self._anchors: dict[str, Node | None] = {}  # none while the node is still open
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._nodes = 0
        self._characters = 0

    def root(self) -> Node | None:
        module, documents = self._yaml, 0
        for event in self._events:
            match event:
                case module.ScalarEvent():
                    self._scalar(event)
                case module.MappingStartEvent():
                    self._begin(event, "mapping")
                case module.SequenceStartEvent():
                    self._begin(event, "list")
                case module.MappingEndEvent() | module.SequenceEndEvent():
                    self._end()
                case module.AliasEvent():
                    self._alias(event)
                case module.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise self._refused("只能有一个 YAML 文档", "must be one YAML document", event)
        return self._root

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event)
        plain = event.implicit[0]
        node = self._node(event, self._kind(event.value) if plain else "text", event.value, plain)
        if node.kind in ("int", "float") and len(node.text) > _LONGEST_NUMBER:
            raise self._refused("数字过长", "is a number of too many digits", event)
        self._remember(event.anchor, node)
        self._put(node)

    def _begin(self, event: Any, kind: Kind) -> None:
        self._refuse_tag(event)
        if len(self._open) >= DEEPEST:
            raise self._refused(f"嵌套超过 {DEEPEST} 层", f"is nested more than {DEEPEST} levels deep", event)
        node = self._node(event, kind)
        node.items, node.entries = [], []
        if self._open and self._open[-1].node.kind == "mapping" and self._open[-1].key is None:
            raise self._refused("键不能是列表或映射", "a key must not be a list or a mapping", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(node, event.anchor))

    def _end(self) -> None:
        ended = self._open.pop()
        if ended.node.kind == "mapping":
            _merge(ended.node)
        self._remember(ended.anchor, ended.node)
        self._put(ended.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise self._refused(f"没有锚点 {event.anchor}", f"there is no anchor {event.anchor}", event)
        node = self._anchors[event.anchor]
        if node is None:
            raise self._refused("别名引用了它自身", "an alias stands in what it refers to", event)
        if len(self._open) + node.height > DEEPEST + 1:
            raise self._refused(f"嵌套超过 {DEEPEST} 层", f"is nested more than {DEEPEST} levels deep", event)
        self._count(node.nodes, node.characters, event)
        self._put(node)

    def _node(self, event: Any, kind: Kind, text: str = "", plain: bool = False) -> Node:
        self._count(1, len(text), event)
        mark = event.start_mark
        return Node(kind=kind, line=mark.line + 1, column=mark.column + 1, text=text, plain=plain, characters=len(text))

    def _count(self, nodes: int, characters: int, event: Any) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MOST_NODES or self._characters > _MOST_CHARACTERS:
            raise self._refused(
                f"内容过大：展开后超过 {MOST_NODES} 个键和值", f"holds more than {MOST_NODES} keys and values", event
            )

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _put(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        around = top.node
        if around.kind == "list":
            around.items.append(node)
        elif top.key is None:
            if node.kind in ("list", "mapping"):
                raise InvalidTrainConfig(wrong("键不能是列表或映射", "a key must not be a list or a mapping", node))
            top.key = node
        else:
            around.entries.append((top.key, node))
            top.key = None
        around.nodes += node.nodes
        around.characters += node.characters
        around.height = max(around.height, node.height + 1)

    def _kind(self, text: str) -> Kind:
        """What YAML 1.1, which most trainers read, takes a scalar without quotes for."""
        if len(text) > _LONGEST_NUMBER:
            return "int" if _LONG_NUMBER.fullmatch(text) else "text"
        for tag, form in self._resolvers.get(text[:1], []):
            if form.match(text):
                return _KINDS.get(tag.removeprefix(_TAG), "text")
        return "text"

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            raise self._refused(f"不允许标签 {event.tag[:100]}", f"tags are not allowed ({event.tag[:100]})", event)

    @staticmethod
    def _refused(zh: str, en: str, event: Any) -> InvalidTrainConfig:
        return _invalid(zh, en, event.start_mark.line + 1, event.start_mark.column + 1)


def _merge(node: Node) -> None:
    """Refuses repeated keys, of which two readers may take different ones, and takes in what `<<` names."""
    seen: set[Any] = set()
    merged: list[Node] = []
    own: list[tuple[Node, Node]] = []
    for key, value in node.entries:
        identity = _identity(key)
        if identity in seen:
            raise InvalidTrainConfig(wrong(f"键 {key.text[:100]} 重复出现", "the key is given more than once", key))
        seen.add(identity)
        if key.kind != "merge":
            own.append((key, value))
            continue
        merged = value.items if value.kind == "list" else [value]
        if any(found.kind != "mapping" for found in merged):
            raise InvalidTrainConfig(wrong("<< 只能合并映射", "<< can only merge mappings", key))
    for found in merged:
        for key, value in found.entries:
            if (identity := _identity(key)) not in seen:
                seen.add(identity)
                own.append((key, value))
    node.entries = own


def _identity(key: Node) -> Any:
    if key.kind in ("int", "float"):
        return _number(key)
    return key.value() if key.kind == "bool" else (key.kind, key.text if key.kind != "null" else "")


def _number(node: Node) -> int | float:
    import yaml

    construct = yaml.constructor.SafeConstructor()
    scalar = yaml.ScalarNode("", node.text)
    made: int | float
    try:
        made = construct.construct_yaml_int(scalar) if node.kind == "int" else construct.construct_yaml_float(scalar)
    except ValueError:  # `0_`, which reads as a number and is none
        made = float("nan")
    return made
