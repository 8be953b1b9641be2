"""Likes of topics by context: what hour, day, age and profile tell of a topic beyond themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.log.impressions import Impressions
from feedrank.log.metadata import HOURS_A_DAY, hour_of_day
from feedrank.state.counts.tally import Tally, tally
from feedrank.state.fitted import WarmupParameters
from feedrank.state.posts.topic_contexts import (
    AGES,
    DAYS_A_WEEK,
    FIRST_AGE,
    FIRST_CODE,
    FIRST_DAY,
    age_of,
    day_of_week,
)
from feedrank.stats.shrinkage import as_feature, fit_strength, log_ratio

NEIGHBOUR = 0.5  # weight of the hours before and after: few hours of a topic have many likes
MARGIN_STEPS = 10  # of iterative proportional fitting: the rates settle to some thousandths in 3


def n_contexts(fixed: WarmupParameters) -> int:
    """Rows of the table of a refit."""
    return FIRST_CODE + int(fixed.column_offsets[-1])


def count_contexts(
    fixed: WarmupParameters,
    codes: np.ndarray,
    first_user: int,
    rows: Impressions,
    steps_old: np.ndarray,
) -> np.ndarray:
    """Impressions and likes by context and topic, int64, shape (2, n_contexts, n_topics).

    Args:
        fixed: parameters of the warm-up.
        codes: profile codes of the users of the rows, shape (n_users, n_columns).
        first_user: row of the first of these users.
        rows: impressions.
        steps_old: age of the post at each impression, in steps.
    """
    n, topic = fixed.n_topics, fixed.topic[rows.post]

    def counts(context: np.ndarray, n_contexts: int) -> np.ndarray:
        found = tally(context * n + topic, rows.liked, n_contexts * n)
        return np.stack([found.shown, found.liked]).reshape(2, n_contexts, n)

    hour_of_week = day_of_week(rows.at).astype(np.int64) * HOURS_A_DAY + hour_of_day(rows.at)
    of_time = counts(hour_of_week, DAYS_A_WEEK * HOURS_A_DAY)
    of_time = of_time.reshape(2, DAYS_A_WEEK, HOURS_A_DAY, n)
    age_by_step = age_of(as_feature(np.log1p(np.arange(int(steps_old.max(initial=0)) + 1))))
    of_age = counts(age_by_step[steps_old], AGES)
    # By user first, of whom each has one code of each column.
    user, shape = rows.user - np.int64(first_user), (len(codes), n)
    if len(rows) > len(codes) * n:  # counted in a ninth of the time
        found = tally(user * n + topic, rows.liked, len(codes) * n).reshape(*shape)
        of_users = [csr_matrix(of) for of in (found.shown, found.liked)]
    else:
        one = np.ones(len(rows), np.int64)
        of_users = [csr_matrix((of, (user, topic)), shape) for of in (one, rows.liked * one)]
    code = (fixed.column_offsets[:-1] + codes).ravel()
    owner = np.repeat(np.arange(len(codes)), codes.shape[1])
    n_codes = int(fixed.column_offsets[-1])
    has_code = csr_matrix((np.ones(len(code), np.int64), (code, owner)), (n_codes, len(codes)))
    of_code = np.stack([(has_code @ of_user).toarray() for of_user in of_users])
    return np.concatenate([of_time.sum(1), of_time.sum(2), of_age, of_code], axis=1)


def topic_ratios(counts: Tally, column_offsets: np.ndarray) -> np.ndarray:
    """Log ratio of likes by context and topic, of those that context and topic alone let expect.

    Args:
        counts: of all users, shape (n_contexts, n_topics).
        column_offsets: of the profile columns, as in `WarmupParameters`.

    Returns:
        shape (n_contexts, n_topics + 1); the last column, of topics that come later, is 0.
    """
    edges = [0, FIRST_DAY, FIRST_AGE, *(FIRST_CODE + column_offsets).tolist()]
    found = [_ratios(counts[slice(*edge)], edge[0] == 0) for edge in pairwise(edges)]
    return np.pad(np.concatenate(found), ((0, 0), (0, 1)))


def _ratios(counts: Tally, are_hours: bool) -> np.ndarray:
    """Those of contexts of one kind, shape (n, n_topics)."""
    expected = counts.shown.astype(float)
    for _ in range(MARGIN_STEPS):  # Deming and Stephan 1940
        for axis in (0, 1):
            total = np.maximum(expected.sum(axis, keepdims=True), np.finfo(float).tiny)
            expected *= counts.liked.sum(axis, keepdims=True) / total
    strength = fit_strength(counts.liked, counts.shown, expected)
    liked: np.ndarray = counts.liked
    if are_hours:
        liked, expected = (
            own + NEIGHBOUR * (np.roll(own, 1, axis=0) + np.roll(own, -1, axis=0))
            for own in (liked, expected)
        )
    return log_ratio(liked, expected, strength).astype(np.float64)
