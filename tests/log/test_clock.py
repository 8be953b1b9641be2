"""The log's clock: moments of any form are the same moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.log.metadata import LogMeta

BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = 1635642000  # 2021-10-31T01:00:00Z, when clocks went back from 3:00 to 2:00
META = LogMeta(
    "2021-10-01T00:00:00", 90 * 86_400 - 1, 10, 5, 100, 10, 1, "test",
    "Europe/Berlin", ((1633000000, 7200), (AUTUMN, 3600)),
)  # fmt: skip
MOMENTS = st.datetimes(datetime(2021, 10, 1), datetime(2021, 12, 31), timezones=st.just(UTC))


@given(MOMENTS)
def test_a_moment_with_any_offset_is_the_one_that_the_zone_shows(at: datetime) -> None:
    shown = at.astimezone(BERLIN).replace(tzinfo=None)
    elsewhere = at.astimezone(ZoneInfo("Asia/Kolkata"))
    assert META.local(at) == META.local(elsewhere) == META.local(shown) == shown


@given(MOMENTS)
def test_back_in_utc_it_is_the_same_but_for_the_hour_that_comes_twice(at: datetime) -> None:
    later = META.utc(META.local(at))
    is_first_time = AUTUMN - 3600 <= at.timestamp() < AUTUMN
    assert later - at == (timedelta(hours=1) if is_first_time else timedelta(0))


def test_offsets_that_no_clock_has_are_refused() -> None:
    with pytest.raises(ValueError, match="offsets"):
        replace(META, offsets=((0, 90_000),))
