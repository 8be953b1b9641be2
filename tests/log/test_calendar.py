from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feedrank.errors import ParamsError
from feedrank.log.calendar import Calendar
from feedrank.log.metadata import SECONDS_A_DAY, LogMeta

META = LogMeta("2021-10-01T00:00:00", 90 * SECONDS_A_DAY - 1, 10, 5, 100, 10, 1, "test")
DAYS = st.one_of(st.none(), st.integers(1, 20))


def _meta(days: int) -> LogMeta:
    return replace(META, last_at=days * SECONDS_A_DAY - 1)


@given(st.integers(1, 400), DAYS, DAYS, st.integers(1, 8))
def test_folds_are_half_open_end_with_the_log_and_never_touch_the_warm_up(
    days: int, warmup: int | None, test: int | None, n_folds: int
) -> None:
    try:
        calendar = Calendar.of(_meta(days), warmup, test)
    except ParamsError:
        assume(False)
    folds = calendar.folds(n_folds)
    assert 1 <= len(folds) <= n_folds
    assert folds[-1].until == days * SECONDS_A_DAY
    for fold in folds:
        assert fold.since == calendar.warmup_days * SECONDS_A_DAY
        assert fold.cutoff - fold.since >= SECONDS_A_DAY
        assert fold.until - fold.cutoff == calendar.test_days * SECONDS_A_DAY
    for earlier, later in itertools.pairwise(folds):
        assert earlier.until == later.cutoff


def test_an_earlier_fold_is_left_out_only_where_it_has_no_day_to_learn_from() -> None:
    calendar = Calendar(warmup_days=4, test_days=3, n_days=12)
    cutoffs = [fold.cutoff // SECONDS_A_DAY for fold in calendar.folds(5)]
    assert cutoffs == [6, 9]


def test_named_days_are_used_as_named() -> None:
    assert Calendar.of(_meta(90), 10, 3) == Calendar(10, 3, 90)


def test_a_long_log_has_two_weeks_of_warm_up_and_one_of_test() -> None:
    assert Calendar.of(_meta(90), None, None) == Calendar(14, 7, 90)


@pytest.mark.parametrize("days", range(3, 40))
def test_a_short_log_keeps_most_of_its_days_for_training(days: int) -> None:
    calendar = Calendar.of(_meta(days), None, None)
    assert calendar.n_days - calendar.warmup_days - calendar.test_days >= days / 3


@pytest.mark.parametrize(
    ("days", "warmup", "test"), [(1, None, None), (2, None, None), (10, 7, 3), (30, None, 28)]
)
def test_a_log_too_short_for_its_uses_is_refused_with_the_numbers(
    days: int, warmup: int | None, test: int | None
) -> None:
    message = rf"the log has {days} days: .*'features.warmup_days'.*'validate.test_days'.*Lower"
    with pytest.raises(ParamsError, match=message):
        Calendar.of(_meta(days), warmup, test)
