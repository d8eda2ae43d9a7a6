"""What of an uploaded YAML is refused, what is warned of, and that no bytes take long or break it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contracts.problems import InvalidTrainConfig
from services.runtime.train_config.checking import check
from services.runtime.train_config.differences import difference
from services.runtime.train_config.reading import MOST_NODES, read

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example" / "configs" / "qwen_demo.yaml"
_MANY = 200_000


def refused(content: bytes | str) -> InvalidTrainConfig:
    with pytest.raises(InvalidTrainConfig) as caught:
        check(content.encode() if isinstance(content, str) else content)
    error = caught.value
    assert error.status == 400
    for language in ("zh", "en"):
        assert "{" not in error.text(language)[:40]
        assert len(error.text(language)) < 2_000
    return error


def warned(content: str) -> list[tuple[str, int | None, int | None, str]]:
    return [(found.pointer, found.line, found.column, found.en) for found in check(content.encode()).warnings]


def test_the_example_has_nothing_wrong() -> None:
    assert check(EXAMPLE.read_bytes()).warnings == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "no content"),
        (b"\n\n", "no content"),
        (b"- a\n- b\n", "mapping"),
        (b"just text", "mapping"),
        (b"~", "mapping"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "UTF-8"),
        (b"a: \x00", "control characters"),
        (b"a: \x1b[31m", "control characters"),
        ("a: 1".encode("utf-16"), "UTF-8"),
        (b"a: [1", "not valid YAML"),
        (b"a: 1\n\tb: 2", "not valid YAML"),
        (b"a: b: c", "not valid YAML"),
        (b"a: *b", "anchor"),
        (b"a: 1\n---\nb: 2", "one YAML document"),
        (b"%YAML 1.1\n---\na: 1", "%"),
        (b"a: !!python/object/apply:os.system ['id']", "tags"),
        (b"a: !!str 1", "tags"),
        (b"a: !x {}", "tags"),
        (b"a: &a [*a]", "stands in"),
        (b"? [a]\n: b", "key must not be"),
        (b"? {a: 1}\n: b", "key must not be"),
        (b"x: &x {a: 1}\n*x : b", "key must not be"),
        (b"a: 1\nb: 2\na: 3", "more than once"),
        (b"b: {a: 1, 'a': 2}", "more than once"),
        (b"1: a\n0x1: b", "more than once"),
        (b"a: " + b"[" * 100, "levels deep"),
        (b"- " * 100, "levels deep"),
        (b"a: " + b"1" * 5_000, "too many digits"),
        (b"a: 1" + b":59" * 5_000, "too many digits"),
        (b"<<: 1", "merge"),
        (b"".join(b"a%d: 1\n" % number for number in range(MOST_NODES)), "keys and values"),
    ],
)
def test_what_is_refused(content: bytes, said: str) -> None:
    assert said in refused(content).text("en")


def test_bombs_are_refused_before_they_grow() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "keys and values" in refused("\n".join(lines)).text("en")
    merged = ["m0: &m0 {k: 1}"]
    merged += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, 12)]
    assert "keys and values" in refused("\n".join(merged)).text("en")
    assert "keys and values" in refused(f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 20)}]").text("en")
    nested = ["n0: &n0 [x]"]
    nested += [f"n{n}: &n{n} [[[[[[[[[[*n{n - 1}]]]]]]]]]]" for n in range(1, 5)]
    assert "levels deep" in refused("\n".join(nested)).text("en")


@pytest.mark.parametrize(
    "content",
    [
        b"%TAG !a" + b"!\n%TAG !a".join(b"%d! x" % number for number in range(_MANY)),
        b"a: [" + b"1," * _MANY,
        b"a: {" + b"b," * _MANY,
        b"".join(b"a%d: &a%d 1\n" % (number, number) for number in range(_MANY)),
        b"? " * _MANY,
        b"&" * _MANY,
        b"---\n" * _MANY,
        b'a: "' + b"\n" * _MANY,
        b"a" * _MANY + b": 1",
    ],
    ids=[
        "directives",
        "list",
        "flow keys",
        "anchors",
        "explicit keys",
        "ampersands",
        "documents",
        "unended",
        "long key",
    ],
)
def test_what_would_take_long_is_refused(content: bytes) -> None:
    refused(content)


def test_a_wrong_type_of_a_known_key_is_an_error_with_its_place() -> None:
    error = refused("stage: sft\nlearning_rate: fast\n\nbf16: 1\nlora_rank: 8.5\nmodel_name_or_path: [a]\n")
    places = [(found.pointer, found.line, found.column) for found in error.wrongs]
    assert places == [("/learning_rate", 2, 16), ("/bf16", 4, 7), ("/lora_rank", 5, 12), ("/model_name_or_path", 6, 21)]
    problem = error.problem("zh", "r")
    assert (problem.errors[0].line, problem.errors[0].column) == (2, 16)
    assert "第 2 行第 16 列" in problem.detail
    assert "应为数字" in problem.errors[0].detail


@pytest.mark.parametrize(
    "content",
    [
        "learning_rate: 1",
        "learning_rate: 1.0e-5",
        "learning_rate: null",
        "save_steps: 0.1",
        "bf16: yes",
        "lora_target: [q_proj, v_proj]",
        "lora_target: all",
        "deepspeed: {stage: 3}",
        "deepspeed: ds.json",
        "resume_from_checkpoint: false",
        "save_strategy: no",
        "max_steps: -1",
        "report_to: none",
    ],
)
def test_what_a_known_key_may_hold(content: str) -> None:
    assert warned(content) == []


def test_unknown_keys_are_warnings() -> None:
    assert warned("learning_rat: 1.0\nmy own: {a: 1}\n") == [
        ("/learning_rat", 1, 1, "line 1, column 1: is not a known key; is learning_rate meant?"),
        ("/my own", 2, 1, "line 2, column 1: is not a known key"),
    ]
    assert len(warned("".join(f"key{number}: 1\n" for number in range(1_000)))) == 100


@pytest.mark.parametrize(
    ("spelt", "written"),
    [("1e-5", "1.0e-5"), ("1.E4", "1.0e+4"), ("-2e3", "-2.0e+3"), ("1.5e5", "1.5e+5")],
)
def test_numbers_that_yaml_takes_for_text_are_told_as_what_they_are(spelt: str, written: str) -> None:
    assert isinstance(yaml.safe_load(spelt), str)
    assert isinstance(yaml.safe_load(written), float)
    assert float(written) == float(spelt)
    ((pointer, _, _, said),) = warned(f"learning_rate: {spelt}")
    assert pointer == "/learning_rate"
    assert written in said
    refused(f"learning_rate: '{spelt}'")
    refused(f"max_steps: {spelt}")


def test_secrets_and_unknown_choices_are_warned_of() -> None:
    assert "secret" in warned("hub_token: hf_x")[0][3]
    assert "hf_x" not in warned("hub_token: hf_x")[0][3]
    assert "none of" in warned("stage: sftt")[0][3]


def test_values_are_what_a_yaml_reader_takes_them_for() -> None:
    text = "a: 0x1F\nb: 1_000\nc: 1:30\nd: 017\ne: yes\nf: .inf\ng: 2024-04-12\nh: ''\ni: ~\nj: 1e-5\nk: 1.5\nl: '1'\n"
    ours, theirs = read(text.encode()).value(), yaml.safe_load(text)
    assert ours.pop("f") == ".inf"
    assert ours.pop("g") == "2024-04-12"
    assert ours == {key: value for key, value in theirs.items() if key not in "fg"}


def test_merges_are_as_a_yaml_reader_makes_them() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\n"
    assert read(text.encode()).value() == yaml.safe_load(text)


def test_the_difference_goes_key_by_key() -> None:
    old = read(b"a: 1\nb: {c: 1, d: [1, 2], e/f: 1}\ng: x\nh: 1\nsame: {a: 1}\n")
    new = read(b"a: 2\nb: {c: 1, d: [1, 3], 'x~y': {z: 1}}\nh: 1.0\nnew: null\nsame: {a: 1}\n")
    found = difference(old, new)
    assert [(one.pointer, one.value) for one in found.added] == [("/b/x~0y", {"z": 1}), ("/new", None)]
    assert [(one.pointer, one.value) for one in found.removed] == [("/b/e~1f", 1), ("/g", "x")]
    assert [(one.pointer, one.old, one.new) for one in found.changed] == [
        ("/a", 1, 2),
        ("/b/d", [1, 2], [1, 3]),
        ("/h", 1, 1.0),
    ]
    assert difference(old, old) == difference(new, new)


_SNIPPETS = st.sampled_from(
    ["a", ": ", "\n", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "!x", "|", ">", "'", '"', "#", "? ", "<<", "\t",
     "1e5", "  ", "---", "...", "%", "~", "learning_rate", "bf16", "\\", "@", "`", "\x85", "\u2028",
     "\ufeff", "0x", "é", "数"]
)  # fmt: skip


@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.lists(_SNIPPETS).map(lambda p: "".join(p).encode())
)
def test_it_never_raises_anything_but_its_refusal(content: bytes) -> None:
    with contextlib.suppress(InvalidTrainConfig):
        root = check(content).root
        difference(root, root)


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | _KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200)
@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=5), st.booleans())
def test_what_a_writer_wrote_is_read_as_it_was(document: dict[str, object], flow: bool) -> None:
    written = yaml.safe_dump(document, allow_unicode=True, default_flow_style=flow)
    assume("\n%" not in f"\n{written}")
    assert read(written.encode()).value() == document
