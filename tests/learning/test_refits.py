from __future__ import annotations

from feedrank.learning.refits import refit_days


def test_an_refit_begins_when_the_log_has_grown_by_40_percent_and_never_after_the_end() -> None:
    assert refit_days(14, 90, 5) == [14, 19, 27, 38, 53]
    assert refit_days(14, 90, 12) == [14, 19, 27, 38, 53, 75]
    assert refit_days(14, 90, 1) == [14]
    assert refit_days(2, 4, 3) == [2, 3]
    assert refit_days(1, 4, 5) == [1, 2, 3]  # a day begins but once
