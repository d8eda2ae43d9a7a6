"""How long `serve` takes until its first answer, and what all its processes together hold in memory when idle."""

from __future__ import annotations

import re
import signal
import statistics
import tempfile
from pathlib import Path

from tests.platform.serving import Serving, until

STARTS = 3


def bench_idle(directory: Path) -> None:
    serving = Serving(directory)
    seconds = []
    held: dict[str, float] = {}
    try:
        for _ in range(STARTS):
            seconds.append(serving.start())
            until(serving.ready, "readiness")
            held = {name: _proportional_mb(pid) for name, pid in serving.parts().items()}
            serving.stop(signal.SIGINT)
    finally:
        serving.end_everything()
    print(
        f"start to the first answer, median of {STARTS}   {statistics.median(seconds):6.2f} s   (wanted: 3 s at most)"
    )
    parts = ", ".join(f"{name} {size:.0f}" for name, size in held.items())
    print(f"idle memory (PSS) in all   {sum(held.values()):6.0f} MB   (wanted: under 250; {parts})")


def _proportional_mb(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trainledger-bench-") as made:
        bench_idle(Path(made))
