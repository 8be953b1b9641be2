from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feedrank.errors import ParamsError
from feedrank.log.calendar import LARGE, Calendar
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


@pytest.mark.parametrize(("days", "n_impressions", "test"), [
    (90, LARGE - 1, 7), (90, LARGE, 14), (15, LARGE - 1, 1), (15, LARGE, 3),
    (25, LARGE - 1, 2), (25, LARGE, 5), (3, LARGE, 1),
])  # fmt: skip
def test_a_large_log_tests_for_longer(days: int, n_impressions: int, test: int) -> None:
    meta = replace(_meta(days), n_impressions=n_impressions)
    assert Calendar.of(meta, None, None).test_days == test
    assert Calendar.of(meta, 1, None).test_days == test
    assert Calendar.of(meta, None, 1).test_days == 1


@pytest.mark.parametrize("days", range(3, 40))
def test_a_short_log_keeps_most_of_its_days_for_training(days: int) -> None:
    calendar = Calendar.of(_meta(days), None, None)
    assert calendar.n_days - calendar.warmup_days - calendar.test_days >= days / 3


@pytest.mark.parametrize(
    ("days", "warmup", "test", "lower"),
    [
        (10, 7, 3, "'features.warmup_days' or 'validate.test_days'"),
        (30, None, 28, "'features.warmup_days' or 'validate.test_days'"),
        (10, 1, 9, "'validate.test_days'"),
    ],
)
def test_a_log_too_short_for_its_uses_is_refused_with_the_numbers(
    days: int, warmup: int | None, test: int | None, lower: str
) -> None:
    message = (
        rf"the log has {days} days: .*'features.warmup_days'.*'validate.test_days'.*Lower {lower},"
    )
    with pytest.raises(ParamsError, match=message):
        Calendar.of(_meta(days), warmup, test)


@pytest.mark.parametrize("days", [1, 2])
def test_a_log_of_a_day_or_two_is_told_to_grow_not_to_lower_anything(days: int) -> None:
    with pytest.raises(ParamsError, match=r"3 are the least: .* Extract a longer period") as error:
        Calendar.of(_meta(days), None, None)
    assert "Lower" not in str(error.value)


def test_hours_of_a_last_day_are_no_fold_of_their_own() -> None:
    partial = replace(META, last_at=9 * SECONDS_A_DAY + 5 * 3600)
    folds = Calendar.of(partial, 2, 1).folds(2)
    assert [f.cutoff // SECONDS_A_DAY for f in folds] == [7, 8]
    assert [f.until // SECONDS_A_DAY for f in folds] == [8, 10]
    whole = replace(META, last_at=9 * SECONDS_A_DAY + 22 * 3600)
    assert Calendar.of(whole, 2, 1).folds(1)[0].cutoff == 9 * SECONDS_A_DAY
