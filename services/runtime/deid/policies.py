"""Policies: which types are recognised and what becomes of them, as versioned YAML, strictly validated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from contracts.problems import Wrong
from services import DEPLOY
from services.runtime.complaints import every_wrong, pointer, wrong_of
from services.runtime.deid.expressions import unfit
from services.runtime.deid.keys import KeySource
from services.runtime.deid.kinds import CHECKED, TYPES, UNISSUABLE
from services.runtime.deid.refusals import PolicyRefused
from services.runtime.deid.rules import Output, Pattern, Rule, Score

BUILT_IN = DEPLOY / "policies"
MOST_BYTES = 64 * 1024
_MOST_REPEATED = 20


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of a policy, as it is kept and as it travels to the processes that work by it."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
    version: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
    types: dict[str, Rule]
    description: Annotated[str, Meta(max_length=2000)] = ""
    key: KeySource = "secret"
    output: Output = "unissuable"
    min_score: Score = 0.5
    bad_lines: Literal["fail", "quarantine"] = "fail"
    patterns: Annotated[tuple[Pattern, ...], Meta(max_length=50)] = ()

    def output_of(self, kind: str) -> Output:
        """How pseudonyms of a type come out; types without a numbering plan or checksum know `valid` alone."""
        rule = self.types.get(kind)
        wanted = self.output if rule is None or rule.output is None else rule.output
        if wanted == "invalid" and kind in CHECKED:
            return wanted
        return "valid" if wanted == "valid" or kind not in UNISSUABLE else "unissuable"

    def keeps(self, kind: str) -> bool:
        """Whether what is found of that type stays as it is."""
        own = {pattern.name: pattern for pattern in self.patterns}
        return (self.types | own)[kind].action == "keep"


def load(text: bytes) -> Policy:
    """The policy that a YAML document holds. Raises PolicyRefused, naming each field that is wrong."""
    given = _parsed(text)
    try:
        policy = msgspec.convert(given, Policy, strict=True)
    except msgspec.ValidationError as error:
        raise PolicyRefused(*_every_wrong(given, str(error))) from None
    if wrongs := [*_wrong_types(policy), *_wrong_patterns(policy)]:
        raise PolicyRefused(*wrongs)
    return policy


@cache
def built_in() -> dict[str, Policy]:
    """The policies that come with the service, by id."""
    found = [load(path.read_bytes()) for path in sorted(BUILT_IN.glob("*.yaml"))]
    return {policy.id: policy for policy in found}


def _parsed(text: bytes) -> object:
    import yaml

    class Strict(yaml.SafeLoader):
        """Without aliases, which can grow a small document beyond all bounds, merging, and repeated keys."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise PolicyRefused(Wrong("", "不支持 YAML 别名", "must not use YAML aliases"))
            return super().compose_node(parent, index)

        def construct_document(self, node: Any) -> Any:
            if repeated := list(islice(_repeated(node), _MOST_REPEATED)):
                raise PolicyRefused(*(Wrong(at, "重复出现", "is given more than once") for at in repeated))
            return super().construct_document(node)

        def flatten_mapping(self, node: Any) -> None:
            """`<<` is a name like any other."""

    # A version such as 2024-01-01 is text, not a date.
    unknown = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge")
    Strict.yaml_implicit_resolvers = {
        first: [(tag, expression) for tag, expression in resolvers if tag not in unknown]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    if len(text) > MOST_BYTES:
        raise PolicyRefused(Wrong("", f"不得超过 {MOST_BYTES} 字节", f"must have at most {MOST_BYTES} bytes"))
    try:
        given = yaml.load(text.decode(), Strict)  # noqa: S506 - a SafeLoader, only stricter
    except UnicodeDecodeError:
        raise PolicyRefused(Wrong("", "不是有效的 UTF-8 文本", "is not valid UTF-8")) from None
    except RecursionError:
        raise PolicyRefused(Wrong("", "嵌套过深", "is nested too deeply")) from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        at = "" if mark is None else f" {mark.line + 1}:{mark.column + 1}"
        raise PolicyRefused(Wrong("", f"不是有效的 YAML{at}", f"is not valid YAML{at}")) from None
    return given


def _repeated(node: Any, *path: str) -> Iterator[str]:
    """Pointers to the keys that a mapping in the document has more than once."""
    if node.id == "mapping":
        counted = Counter(key.value for key, _ in node.value if key.id == "scalar")
        yield from (pointer(*path, name) for name, times in counted.items() if times > 1)
        for key, value in node.value:
            yield from _repeated(value, *path, str(key.value))
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            yield from _repeated(value, *path, str(number))


def _every_wrong(given: object, first: str) -> list[Wrong]:
    types = given.get("types") if isinstance(given, dict) else None
    return every_wrong(given, Policy, first, {"types": _wrong_rules} if isinstance(types, dict) else {})


def _wrong_rules(rules: dict[object, object]) -> list[Wrong]:
    wrongs = []
    for kind, rule in rules.items():
        try:
            msgspec.convert(rule, Rule, strict=True)
        except msgspec.ValidationError as error:
            found = wrong_of(str(error))
            wrongs.append(Wrong(pointer("types", str(kind)) + found.pointer, found.zh, found.en))
    return wrongs


def _wrong_types(policy: Policy) -> list[Wrong]:
    wrongs = []
    if not policy.types and not policy.patterns:
        wrongs.append(Wrong("/types", "至少需要一个类型或模式", "must name a type, where there are no patterns"))
    for kind, rule in policy.types.items():
        if kind not in TYPES:
            wrongs.append(Wrong(pointer("types", kind), "未知类型", "is not a known type"))
        elif rule.action == "date_shift" and kind != "DATE":
            at = pointer("types", kind, "action")
            wrongs.append(Wrong(at, "date_shift 只适用于 DATE", "date_shift is for DATE alone"))
        elif rule.output not in (None, "valid") and kind not in UNISSUABLE:
            at = pointer("types", kind, "output")
            wrongs.append(Wrong(at, f"该类型不支持 {rule.output}", f"this type has no output {rule.output}"))
    return wrongs


def _wrong_patterns(policy: Policy) -> list[Wrong]:
    wrongs = []
    seen: set[str] = set(TYPES)
    for index, own in enumerate(policy.patterns):
        at = pointer("patterns", str(index))
        if own.name in seen:
            wrongs.append(Wrong(f"{at}/name", "名称已被使用", "is already the name of a type"))
        seen.add(own.name)
        if own.action == "date_shift":
            wrongs.append(Wrong(f"{at}/action", "date_shift 只适用于 DATE", "date_shift is for DATE alone"))
    return [*wrongs, *unfit(policy.patterns)]
