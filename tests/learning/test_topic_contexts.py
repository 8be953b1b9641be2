from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.learning.topic_contexts import count_contexts, n_contexts, topic_ratios
from feedrank.state.counts.tally import Tally
from feedrank.state.posts.topic_contexts import FIRST_AGE, FIRST_CODE, FIRST_DAY, age_of
from tests.support.simulated_logs import DAY, HOUR, simulated

NO_COLUMNS, ONE_COLUMN = np.array([0]), np.array([0, 4])


def _even(n_codes: int, n_topics: int = 3) -> Tally:
    shape = (FIRST_CODE + n_codes, n_topics)
    return Tally(np.full(shape, 1000), np.full(shape, 100))


def test_what_holds_of_all_topics_or_in_all_contexts_is_no_topic_s_own() -> None:
    counts = _even(4)
    counts.liked[:, 2] = 200  # a topic that is liked more, anywhere
    counts.liked[7:10] *= 2  # hours, a day and a code at which all is liked more
    counts.liked[[FIRST_DAY + 3, FIRST_CODE + 1]] *= 2
    assert np.abs(topic_ratios(counts, ONE_COLUMN)).max() < 0.01


def test_a_topic_that_is_liked_at_other_hours_than_the_rest_has_its_own() -> None:
    counts = _even(0)
    counts.liked[8, 0], counts.liked[20, 1] = 250, 20
    found = topic_ratios(counts, NO_COLUMNS)
    assert found[8, 0] == found.max() > 0.15
    assert found[20, 1] == found.min() < -0.05
    assert found[8, 1] < 0 < found[9, 0]  # the margins hold, and neighbours are alike
    assert found.shape == (FIRST_CODE, 4)
    assert not found[:, 3].any()
    assert np.abs(found[FIRST_DAY:]).max() < 0.01


def test_days_ages_and_codes_are_each_judged_by_their_own_kind() -> None:
    for row in (FIRST_DAY + 5, FIRST_AGE + 2, FIRST_CODE + 3):
        counts = _even(4)
        counts.liked[row, 1] = 200
        found = topic_ratios(counts, ONE_COLUMN)
        assert found[row, 1] == found.max() > 0.15
        edges = [0, FIRST_DAY, FIRST_AGE, FIRST_CODE, FIRST_CODE + 4]
        kind = np.searchsorted(edges, row, side="right")
        found[edges[kind - 1] : edges[kind]] = 0
        assert np.abs(found).max() < 0.01  # a code or an age has no neighbours


@pytest.mark.parametrize("n_rows", [200, 2000])  # less, and more, than one a user and topic
def test_every_row_counts_once_in_each_of_its_contexts(n_rows: int) -> None:
    learned = simulated()
    fitted, codes = learned.store.fitted, np.asarray(learned.store.catalogue.codes)
    first, end = learned.log.meta.user_range(1)
    rows = learned.log.bucket(1)[:n_rows]
    steps_old = np.arange(n_rows) % 40
    expected = np.zeros((2, n_contexts(fitted), fitted.n_topics), np.int64)
    age = age_of(np.log1p(steps_old))
    columns = (rows.user, rows.post, rows.at, rows.liked, age)
    for user, post, at, liked, own_age in zip(*columns, strict=True):
        own = FIRST_CODE + fitted.column_offsets[:-1] + codes[user]
        of_time = (at % DAY // HOUR, FIRST_DAY + at // DAY % 7)
        for context in (*of_time, FIRST_AGE + own_age, *own):
            expected[:, context, fitted.topic[post]] += [1, liked]
    found = count_contexts(fitted, codes[first:end], first, rows, steps_old)
    np.testing.assert_array_equal(found, expected)


def test_a_refit_knows_the_contexts_of_rows_before_it_alone() -> None:
    learned = simulated()
    store, log = learned.store, learned.log
    fitted, codes = store.fitted, np.asarray(store.catalogue.codes)
    refit = fitted.refits[1]
    shown = store.shared.by_post.first_steps().reshape(fitted.n_segments, -1).min(0)
    counts = np.zeros((2, n_contexts(fitted), fitted.n_topics), np.int64)
    for rows in log.buckets():
        step = rows.at.astype(np.int64) // fitted.step_seconds
        early = step < refit.first_step
        old = (step - shown[rows.post])[early]
        counts += count_contexts(fitted, codes, 0, rows[early], old)
    found = topic_ratios(Tally(*counts), fitted.column_offsets)
    np.testing.assert_array_equal(found, refit.topic_ratio)
    assert np.abs(found).max() > 0


def test_users_without_a_profile_have_no_codes() -> None:
    learned = simulated(profiles=False)
    fitted = replace(learned.store.fitted)
    assert fitted.refits[0].topic_ratio.shape == (FIRST_CODE, fitted.n_topics + 1)
