"""Seconds on the processor that the check of a training configuration takes, of YAML that means no good."""

from __future__ import annotations

import time
from collections.abc import Iterator

from contracts.problems import InvalidTrainConfig
from contracts.train_config import LARGEST
from services.runtime.train_config.checking import check
from services.runtime.train_config.reading import MOST_NODES

_WANTED = 1.0


def hostile() -> Iterator[tuple[str, bytes]]:
    yield (
        "keys and values, as many as may be",
        b"".join(b"key_%d: 1.0\n" % number for number in range(MOST_NODES // 2 - 1)),
    )
    yield "more of them", b"a: 1\n" * (LARGEST // 5)
    yield "one long text", b"a: " + b"x" * (LARGEST - 3)
    yield "one long text of many lines", b"a: |\n" + b" x\n" * (LARGEST // 3 - 2)
    yield "a comment", b"a: 1\n#" + b"#" * (LARGEST - 6)
    yield "aliases", b"a: &a [" + b"1," * 1_000 + b"]\nb: [" + b"*a," * (LARGEST // 4) + b"]"
    yield "anchors", b"".join(b"a%d: &a%d 1\n" % (number, number) for number in range(LARGEST // 20))
    yield "lists in lists", b"a: " + b"[" * (LARGEST - 3)
    yield "a quote that is not closed", b'a: "' + b"\n" * (LARGEST - 4)
    yield "a long key", b"a" * (LARGEST - 3) + b": 1"
    yield "a long number", b"a: " + b"1" * (LARGEST - 3)
    yield "question marks", b"? " * (LARGEST // 2)


def main() -> int:
    slowest = 0.0
    for name, content in hostile():
        begun = time.process_time()
        try:
            check(content)
            said = "taken"
        except InvalidTrainConfig:
            said = "refused"
        seconds = time.process_time() - begun
        slowest = max(slowest, seconds)
        print(f"{name:36} {len(content) / 1e6:5.1f} MB  {said:8} {seconds:6.2f} s")
    print(f"slowest {slowest:.2f} s; wanted: at most {_WANTED:.0f} s")
    return int(slowest > _WANTED)


if __name__ == "__main__":
    raise SystemExit(main())
