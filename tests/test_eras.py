from __future__ import annotations

from feedrank.eras import era_days


def test_an_era_begins_when_the_log_has_grown_by_half_and_never_after_the_end() -> None:
    assert era_days(14, 90, 5) == [14, 21, 31, 47, 70]
    assert era_days(14, 90, 9) == [14, 21, 31, 47, 70]
    assert era_days(14, 90, 1) == [14]
    assert era_days(2, 4, 3) == [2, 3]
    assert era_days(1, 4, 5) == [1, 2, 3]  # a day begins but once
