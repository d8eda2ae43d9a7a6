"""Progress bars as tqdm draws them (`tqdm.std.tqdm.format_meter`)."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.training.parsers.text import cleaned, unranked

BAR_MARK = b"%|"

_PERCENT = re.compile(rb"\d{1,3}$")
_METER = re.compile(
    rb"[^|]{0,800}\| *(?P<step>[\d.]{1,15})(?P<scaled>[kMGTPEZY]?)/(?P<total>[\d.]{1,15})[kMGTPEZY]?i?\S{0,3} "
    rb"\[[^<\[\]]{1,40}<[^,\[\]]{1,40}, *(?P<rate>[^\]]{0,1000})\]"
)
_COUNT = re.compile(rb"(?:.*: )?\d[\d.]*[kMGTPEZY]? ?[^\s\[\]]{1,30} \[\d[\d:]*, [^\]]{1,1000}\]$")
_ITERATIONS = re.compile(rb"\S*(?:it/s|s/it)")


class Bar(NamedTuple):
    """A bar in a segment of output: it ends before byte `end` of the segment.

    `training` says that it may be the bar of the training itself: no description, whole numbers, counting iterations.
    """

    end: int
    done: bool
    training: bool
    step: int
    total: int


def find_bar(raw: bytes) -> Bar | None:
    """The first bar of a segment; what stands before it is its description."""
    mark = raw.find(BAR_MARK)
    if mark < 0:
        return None
    percent, meter = _PERCENT.search(raw, max(0, mark - 3), mark), _METER.match(raw, mark + len(BAR_MARK))
    if percent is None or meter is None:
        return None
    step, total, whole = meter["step"], meter["total"], meter["step"].isdigit() and meter["total"].isdigit()
    return Bar(
        end=meter.end(),
        done=step == total and percent[0] == b"100",
        training=whole
        and not meter["scaled"]
        and _ITERATIONS.match(meter["rate"]) is not None
        and not unranked(cleaned(raw[: percent.start()])).strip(),
        step=int(step) if whole else 0,
        total=int(total) if whole else 0,
    )


def is_count(raw: bytes) -> bool:
    """Whether a segment is a bar without a total: `1200 examples [00:01, 1150.22 examples/s]`."""
    return raw.endswith(b"]") and _COUNT.match(raw) is not None
