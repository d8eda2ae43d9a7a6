"""`make bench`: every measurement in turn, each in a process of its own; name some to run only those."""

from __future__ import annotations

import subprocess
import sys

BENCHES = {
    "log": "appends to JetStream, and following",
    "projection": "a rebuild of the read models",
    "http": "HTTP, beside bare handlers",
    "uploads": "an upload, beside a bare handler that streams to a file",
    "train_config": "the check of a hostile training configuration",
    "training": "output lines and launches",
    "live": "a printing child under the whole service",
    "deployments": "served models: start, and the list",
    "deid": "de-identification, beside Presidio's",
    "deid_quality": "what de-identification finds",
    "idle": "start and memory of `serve`",
}


def main(names: list[str]) -> int:
    if unknown := set(names) - set(BENCHES):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or BENCHES:
        print(f"\n== {name}: {BENCHES[name]}", flush=True)
        failed |= subprocess.run([sys.executable, "-X", "utf8", "-m", f"tests.bench.bench_{name}"]).returncode
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
