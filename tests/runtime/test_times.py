"""The spellings of a moment, as the documented API has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.times import naive_iso, zulu_iso

_MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-5))]))


@given(_MOMENTS.filter(lambda moment: 1 < moment.year < 9999))
@example(datetime(2024, 4, 12, 8, 45, 9, tzinfo=UTC))
def test_microseconds_and_milliseconds_are_always_there(moment: datetime) -> None:
    in_utc = moment.astimezone(UTC)
    seconds = in_utc.strftime(f"{in_utc.year:04}-%m-%dT%H:%M:%S")
    assert naive_iso(moment) == f"{seconds}.{in_utc.microsecond:06}"
    assert zulu_iso(moment) == f"{seconds}.{in_utc.microsecond // 1000:03}Z"
