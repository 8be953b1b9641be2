from __future__ import annotations

from feedrank.eras import era_days


def test_an_era_begins_when_as_much_again_has_passed_and_never_after_the_end() -> None:
    assert era_days(14, 90, 3) == [14, 28, 56]
    assert era_days(14, 90, 9) == [14, 28, 56]
    assert era_days(14, 90, 1) == [14]
    assert era_days(2, 4, 3) == [2]
