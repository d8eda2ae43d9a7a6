"""What the recognisers find: precision, recall and F2 by type, on a Chinese corpus made here and on an English one.

The English set is `generated_large` of github.com/microsoft/presidio-research; the environment variable
PRESIDIO_DATASET names the file, and without it that half is left out.
"""

from __future__ import annotations

import os
from pathlib import Path

from services.runtime.deid import policies
from services.runtime.deid.policies import Policy
from services.runtime.deid.rules import Rule
from tests.deid.corpus import chinese, english, people
from tests.deid.corpus.measuring import measure, table


def with_people(policy: Policy) -> Policy:
    import msgspec

    return msgspec.structs.replace(policy, types=policy.types | {"PERSON": Rule(), "ADDRESS": Rule()})


def main() -> None:
    built_in = policies.built_in()
    measured, _ = measure(built_in["zh-pii"], chinese.corpus(seed=2026, size=2800))
    print("Chinese, policy zh-pii\n")
    print(table({kind: measured[kind] for kind in chinese.STRUCTURED}))
    measured, _ = measure(with_people(built_in["zh-pii"]), people.corpus(seed=2026, size=900))
    print("\nChinese names and addresses, the option\n")
    print(table({kind: measured[kind] for kind in ("PERSON", "ADDRESS")}))
    path = os.environ.get("PRESIDIO_DATASET")
    if path is None:
        print("\nThe English set is left out: PRESIDIO_DATASET names no file.")
        return
    measured, _ = measure(with_people(built_in["en-pii"]), english.corpus(Path(path)), english.NAMES)
    print("\nEnglish (presidio-research, generated_large), policy en-pii with the option\n")
    print(table({kind: measured[kind] for kind in (*english.WANTED, *english.OTHERS)}))


if __name__ == "__main__":
    main()
