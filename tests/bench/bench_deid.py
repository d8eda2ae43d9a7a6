"""MB/s of de-identifying JSONL into JSONL by the typed policy, dense and sparse in digits, beside Presidio's.

One process and two are measured in turn, and in each turn also what the machine's two cores have to give: twice one
process, each on a file of its own, at the same time. `serve` keeps its processes, so they are started before.

Presidio (presidio-analyzer and presidio-anonymizer with their pattern recognisers, no language model) runs on the
first records of the same files in an environment of its own: PRESIDIO_PYTHON names its interpreter. Without that it
is left out. It is asked twice: with the words of the text, which its rules of context words need, as those of the
policy do; and bare, without any, where nothing but its patterns and checksums is left.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import deidentify_file, processes
from services.runtime.deid.keys import Keys
from tests.deid.corpus.chinese import digits, phone, resident
from tests.deid.test_linear import NASTY, seconds

_BYTES = 16_000_000
_SENTENCE = (
    "会议讨论了项目进展，大家对下一阶段的安排提出了不少建议，散会后请各自整理。The minutes will follow by mail. "
)
_KEYS = Keys(b"a secret of this installation")
_POLICY = policies.built_in()["zh-pii"]


def dense(rng: random.Random, number: int) -> str:
    """About 18,000 runs of digits to the megabyte."""
    text = f"订单{digits(rng, 12)}，手机号{phone(rng)}，身份证{resident(rng)}，"
    text += f"金额{digits(rng, 4)}元，日期2024-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}，备注：{_SENTENCE[:60]}"
    return json.dumps({"id": number, "text": text, "reply": f"已处理{digits(rng, 8)}，谢谢。"}, ensure_ascii=False)


def sparse(rng: random.Random, number: int) -> str:
    """A phone number and some smaller numbers among two kilobytes of conversation."""
    asked = _SENTENCE * rng.randint(5, 9) + f"\n我的手机号是{phone(rng)}，第{rng.randint(1, 99)}条。"
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": _SENTENCE * rng.randint(4, 8)}]
    return json.dumps({"id": number, "messages": turns}, ensure_ascii=False)


def written(path: Path, make: object) -> Path:
    assert callable(make)
    rng, size, number = random.Random(1), 0, 0
    with path.open("w", encoding="utf-8") as file:
        while size < _BYTES:
            line = make(rng, number) + "\n"
            file.write(line)
            size, number = size + len(line.encode()), number + 1
    return path


class Apart:
    """Another process that de-identifies a file of its own, by itself, whenever it is told to."""

    def __init__(self, source: Path) -> None:
        command = [sys.executable, "-X", "utf8", "-m", "tests.bench.bench_deid", str(source)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait()

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wait(self) -> float:
        """How many seconds it took."""
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


def seconds_of(source: Path, workers: int, target: str = "out") -> tuple[float, float]:
    """By the clock, and by the processor's time of this process."""
    output = source.with_suffix(f".{target}")
    output.unlink(missing_ok=True)  # to take the place of another costs time that a new version never does
    start, busy = time.perf_counter(), time.process_time()
    deidentify_file(source, output, _POLICY, _KEYS, workers=workers)
    return time.perf_counter() - start, time.process_time() - busy


class Measured(NamedTuple):
    """Seconds of each turn: of one process, its processor's, of two processes, and of two apart on a file each.

    `theirs`, `bare`: MB/s of Presidio with context words and without, if it was asked for.
    """

    one: list[float]
    busy: list[float]
    two: list[float]
    apart: list[float]
    theirs: list[float]
    bare: list[float]

    def ratios(self) -> str:
        """What two processes gain, at best and in each turn; and what two apart do, which is all that there is."""
        gains = [
            (min(self.one) / min(self.two), [one / two for one, two in zip(self.one, self.two, strict=True)]),
            (2 * min(self.one) / min(self.apart), [2 * one / x for one, x in zip(self.one, self.apart, strict=True)]),
        ]
        return "".join(f"{best:8.2f} ({min(turns):.2f} to {max(turns):.2f})" for best, turns in gains)

    def times(self, size: float) -> str:
        """`size` in MB. How many times Presidio's speed, at best and in each turn."""
        return "".join(_times(size, self.busy, theirs) for theirs in (self.theirs, self.bare) if theirs)


def _times(size: float, busy: list[float], theirs: list[float]) -> str:
    turns = [size / seconds / speed for seconds, speed in zip(busy, theirs, strict=True)]
    best = size / min(busy) / max(theirs)
    return f"{max(theirs):10.4f}{best:7.0f} ({min(turns):.0f} to {max(turns):.0f})".ljust(34)


def measured(source: Path, turns: int, python: str | None) -> Measured:
    """`python`: an interpreter that has Presidio, which is asked in every turn."""
    found = Measured([], [], [], [], [], [])
    apart = Apart(source)
    for _ in range(turns):
        rounds = [_round(source, apart) for _ in range(_ROUNDS)]
        for column, values in zip(found[:4], zip(*rounds, strict=True), strict=True):
            column.append(min(values))
        if python:
            found.theirs.append(presidio(source, python, "words"))
            found.bare.append(presidio(source, python, "bare"))
    apart.end()
    return found


_ROUNDS = 3
"""Of each turn the best counts: what else a shared machine does comes and goes within less than a turn."""


def _round(source: Path, apart: Apart) -> tuple[float, float, float, float]:
    one, busy = seconds_of(source, 1)
    two, _ = seconds_of(source, 2)
    apart.begin()
    here, _ = seconds_of(source, 1)
    return one, busy, two, max(here, apart.wait())


def stay(source: Path) -> None:
    """The other process of `Apart`."""
    print(seconds_of(source, 1, "apart")[0], flush=True)
    for _ in sys.stdin:
        print(seconds_of(source, 1, "apart")[0], flush=True)


_PRESIDIO = """
import json, sys, time
import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine, SpacyNlpEngine
from presidio_anonymizer import AnonymizerEngine
from spacy.language import Language

@Language.component("lower")
def lower(doc):
    for token in doc:
        token.lemma_ = token.lower_
    return doc

class Words(SpacyNlpEngine):
    def load(self):
        self.nlp = {"en": spacy.blank("en")}
        self.nlp["en"].add_pipe("lower")

class Nothing(NlpEngine):
    engine_name = "nothing"
    is_available = True
    def load(self): pass
    def is_loaded(self): return True
    def process_text(self, text, language): return NlpArtifacts([], [], [], [], self, language)
    def process_batch(self, texts, language, **_): return ((text, self.process_text(text, language)) for text in texts)
    def is_stopword(self, word, language): return False
    def is_punct(self, word, language): return False
    def get_supported_entities(self): return []
    def get_supported_languages(self): return ["en"]

registry = RecognizerRegistry()
registry.load_predefined_recognizers(languages=["en"])
for recognizer in [r for r in registry.recognizers if "spacy" in type(r).__name__.lower()]:
    registry.remove_recognizer(recognizer.name)
engine = Words([{"lang_code": "en", "model_name": "blank"}]) if sys.argv[1] == "words" else Nothing()
engine.load()
analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
anonymizer = AnonymizerEngine()
if sys.argv[1] == "words":
    score = {analyzer.analyze(text, language="en")[0].score for text in ("phone 212-555-1234", "price 212-555-1234")}
    assert len(score) == 2, "context words do not count"

def changed(value):
    if isinstance(value, str):
        return anonymizer.anonymize(value, analyzer.analyze(value, language="en")).text
    if isinstance(value, list):
        return [changed(item) for item in value]
    if isinstance(value, dict):
        return {key: changed(item) for key, item in value.items()}
    return value

lines = sys.stdin.buffer.read().splitlines()
changed(json.loads(lines[0]))
start, size = time.process_time(), 0
for line in lines:
    json.dumps(changed(json.loads(line)), ensure_ascii=False)
    size += len(line) + 1
    if time.process_time() - start > 5:
        break
print(size / 1e6 / (time.process_time() - start))
"""


def presidio(source: Path, python: str, kind: str) -> float:
    head = source.read_bytes()[:200_000]
    head = head[: head.rfind(b"\n") + 1]
    told = subprocess.run([python, "-c", _PRESIDIO, kind], input=head, stdout=subprocess.PIPE, check=True)
    return float(told.stdout)


def hostile() -> dict[str, float]:
    """Milliseconds of the processor, the better of three, for the inputs of 100 KB that are slow for backtracking."""
    engine = Deidentifier(_POLICY, _KEYS)
    engine.texts(["warm 13812345678 a@b.com"])
    return {name: 1e3 * min(seconds(engine.texts, make(100_000)) for _ in range(3)) for name, make in NASTY.items()}


def main() -> None:
    python = os.environ.get("PRESIDIO_PYTHON")
    processes.helpers(1).wait()
    print(f"{'MB/s':14}{'1 process':>10}{'(busy)':>8}{'2 processes':>12}{'ratio':>21}{'ratio of 2 apart':>21}", end="")
    print(f"{'Presidio':>10}{'times':>7}".ljust(34) + f"{'bare':>10}{'times':>7}" if python else "")
    with tempfile.TemporaryDirectory() as directory:
        for make in (dense, sparse):
            source = written(Path(directory) / f"{make.__name__}.jsonl", make)
            large = source.with_name(f"{make.__name__}_8.jsonl")
            large.write_bytes(source.read_bytes() * 8)
            for file, turns in ((source, 7), (large, 1)):
                found, size = measured(file, turns, python if file is source else None), file.stat().st_size / 1e6
                rates = size / min(found.one), size / min(found.busy), size / min(found.two)
                line = f"{make.__name__:7}{size:4.0f} MB{rates[0]:10.1f}{rates[1]:8.1f}{rates[2]:12.1f}{found.ratios()}"
                print(line + found.times(size), flush=True)
    print("\nThe best of the turns, and the range of ratios within one; (busy) and Presidio by processor time.")
    print("\nMilliseconds for hostile inputs of 100 KB, recognised and replaced:")
    taken = sorted(hostile().items(), key=lambda item: -item[1])
    for start in range(0, len(taken), 4):
        print("".join(f"{name:>18}{milliseconds:7.1f}" for name, milliseconds in taken[start : start + 4]))


if __name__ == "__main__":
    stay(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
