"""Policies: which types are recognised and what becomes of them, as versioned YAML, strictly validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from contracts.problems import Wrong
from services import DEPLOY
from services.runtime.complaints import MOST_WRONGS, every_wrong, pointer
from services.runtime.deid.expressions import unfit
from services.runtime.deid.keys import KeySource
from services.runtime.deid.kinds import CHECKED, TYPES, UNISSUABLE
from services.runtime.deid.refusals import PolicyRefused
from services.runtime.deid.rules import Action, Output, Pattern, Rule, Score
from services.runtime.deid.strict_yaml import parsed

BUILT_IN = DEPLOY / "policies"
MOST_BYTES = 64 * 1024
MOST_PATTERNS = 50
_MIN_SCORE = 0.5

_K = TypeVar("_K", str, int)
_R = TypeVar("_R", bound=Rule)


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of a policy, as it is kept and as it travels to the processes that work by it."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
    version: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
    types: dict[str, Rule] = msgspec.field(default_factory=dict)
    description: Annotated[str, Meta(max_length=2000)] = ""
    key: KeySource = "secret"
    output: Output = "unissuable"
    min_score: Score = _MIN_SCORE
    bad_lines: Literal["fail", "quarantine"] = "fail"
    patterns: Annotated[tuple[Pattern, ...], Meta(max_length=MOST_PATTERNS)] = ()

    def output_of(self, kind: str) -> Output:
        """How values of a type come out; types without a numbering plan or checksum know `valid` alone."""
        rule = self.types.get(kind)
        if rule is not None and not rule.reversible:
            return "valid"  # what stays is as it was
        wanted = self.output if rule is None or rule.output is None else rule.output
        if wanted == "invalid" and kind in CHECKED:
            return wanted
        return "valid" if wanted == "valid" or kind not in UNISSUABLE else "unissuable"

    def keeps(self, kind: str) -> bool:
        """Whether what is found of that type stays as it is."""
        own = {pattern.name: pattern for pattern in self.patterns}
        return (self.types | own)[kind].action == "keep"

    @property
    def reversible(self) -> bool:
        """Whether there is anything that can be brought back."""
        return any(rule.reversible for rule in (*self.types.values(), *self.patterns))


def load(text: bytes, *, on_record: bool = False) -> Policy:
    """The policy that a YAML document holds. Raises PolicyRefused, naming each place that is wrong.

    `on_record`: it was accepted, perhaps when less was refused.
    """
    if len(text) > MOST_BYTES:
        raise PolicyRefused(Wrong("", f"不得超过 {MOST_BYTES} 字节", f"must have at most {MOST_BYTES} bytes"))
    given: Any = parsed(text)
    within = {} if on_record else _wrongs_within(given)
    try:
        policy = msgspec.convert(given, Policy, strict=True)
    except msgspec.ValidationError as error:
        raise PolicyRefused(*every_wrong(given, Policy, str(error), within)) from None
    wrongs = [] if on_record else [*chain(*within.values(), _without_effect(policy, given))]
    if wrongs:
        raise PolicyRefused(*wrongs[:MOST_WRONGS])
    return policy


@cache
def built_in() -> dict[str, Policy]:
    """The policies that come with the service, by id."""
    found = [load(path.read_bytes()) for path in sorted(BUILT_IN.glob("*.yaml"))]
    return {policy.id: policy for policy in found}


def _wrongs_within(given: object) -> dict[str, list[Wrong]]:
    """Of types and patterns, where they are such, whatever else is wrong."""
    wrongs: dict[str, list[Wrong]] = {}
    if not isinstance(given, dict):
        return wrongs
    types, patterns, least = given.get("types", {}), given.get("patterns"), given.get("min_score", _MIN_SCORE)
    if isinstance(types, dict):
        rules, wrongs["types"] = _formed(types.items(), Rule, "types")
        wrongs["types"] += _wrong_types(types, rules)
        if not types and not patterns:
            zh, en = "至少需要一个类型或模式", "must name a type, where there are no patterns"
            wrongs["types"].append(Wrong("/types", zh, en))
    if isinstance(patterns, list) and len(patterns) <= MOST_PATTERNS:
        own, wrongs["patterns"] = _formed(enumerate(patterns), Pattern, "patterns")
        wrongs["patterns"] += _wrong_patterns(own, least if isinstance(least, int | float) and least <= 1 else 0)
    return wrongs


def _formed(given: Iterable[tuple[_K, object]], kind: type[_R], under: str) -> tuple[dict[_K, _R], list[Wrong]]:
    """Those that have the form of `kind`, and what is wrong with the form of the others, as far as that is told."""
    formed, wrongs = dict[_K, _R](), list[Wrong]()
    for key, value in given:
        if len(wrongs) >= MOST_WRONGS:
            break
        try:
            formed[key] = msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError as error:
            at = pointer(under, str(key))
            wrongs += [Wrong(at + it.pointer, it.zh, it.en) for it in every_wrong(value, kind, str(error))]
    return formed, wrongs


def _wrong_types(names: Iterable[str], rules: Mapping[str, Rule]) -> list[Wrong]:
    wrongs = [Wrong(pointer("types", kind), "未知类型", "is not a known type") for kind in names if kind not in TYPES]
    for kind, rule in rules.items():
        if kind not in TYPES:
            continue
        if rule.action == "date_shift" and kind != "DATE":
            at = pointer("types", kind, "action")
            wrongs.append(Wrong(at, "date_shift 只适用于 DATE", "date_shift is for DATE alone"))
    return wrongs


def _without_effect(policy: Policy, given: dict[str, Any]) -> list[Wrong]:
    """Settings that are given to rules in which they change nothing, or that make of a mask what looks like a value."""
    rules = [(("types", kind), kind, rule, given["types"][kind]) for kind, rule in policy.types.items()]
    own = enumerate(policy.patterns)
    rules += [(("patterns", str(n)), pattern.name, pattern, given["patterns"][n]) for n, pattern in own]
    wrongs = list[Wrong]()
    for at, kind, rule, settings in rules:
        for name in settings.keys() & _OF_ACTIONS.keys():
            kinds, actions = _OF_ACTIONS[name]
            if kinds and kind not in kinds:
                wrong = f"只适用于 {'、'.join(kinds)}", f"is for {' and '.join(kinds)} alone"
            elif rule.action not in actions:
                wrong = f"只适用于 action {'、'.join(actions)}", f"is for the action {' or '.join(actions)} alone"
            else:
                continue
            wrongs.append(Wrong(pointer(*at, name), *wrong))
        if rule.action == "pseudonymise" and rule.output is not None and not _has_output(kind, rule.output):
            zh, en = f"该类型不支持 {rule.output}", f"this type has no output {rule.output}"
            wrongs.append(Wrong(pointer(*at, "output"), zh, en))
        if rule.action == "mask" and rule.mask.isdigit():
            wrongs.append(Wrong(pointer(*at, "mask"), "不得为数字", "must not be a digit"))
    return sorted(wrongs, key=lambda wrong: wrong.pointer)


_OF_ACTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mask": ((), ("mask",)),
    "keep_last": ((), ("mask",)),
    "output": ((), ("pseudonymise",)),
    "days": (("DATE",), ("date_shift", "pseudonymise")),
    "min_digits": (("NUMBER",), get_args(Action)),
}
"""By setting the types and the actions that it is for; no types: for all."""


def _has_output(kind: str, output: Output) -> bool:
    return output == "valid" or kind in (CHECKED if output == "invalid" else UNISSUABLE)


def _wrong_patterns(patterns: Mapping[int, Pattern], min_score: float) -> list[Wrong]:
    wrongs = []
    seen: set[str] = set(TYPES)
    for index, own in patterns.items():
        at = pointer("patterns", str(index))
        if own.name in seen:
            wrongs.append(Wrong(f"{at}/name", "名称已被使用", "is already the name of a type"))
        seen.add(own.name)
        if own.action == "date_shift":
            wrongs.append(Wrong(f"{at}/action", "date_shift 只适用于 DATE", "date_shift is for DATE alone"))
        if own.score < (min_score if own.min_score is None else own.min_score):
            wrongs.append(
                Wrong(f"{at}/score", "低于 min_score，永远不会匹配", "is below min_score: nothing would match")
            )
    return [*wrongs, *unfit(patterns)]
