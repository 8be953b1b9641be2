"""Target encodings: of profile columns and the hour, by the warm-up; of topics by the hour."""

from __future__ import annotations

import numpy as np

from feedrank.log.metadata import HOURS_A_DAY, hour_of_day
from feedrank.state.counts.tally import Tally
from feedrank.state.profiles import Profiles
from feedrank.stats.shrinkage import fit_strength, log_ratio

PRIOR_IMPRESSIONS = 20.0  # prior strength of the average rate, in impressions: any from 5 to 100
NEIGHBOUR = 0.5  # weight of the hours before and after: few hours of a topic have many likes
MARGIN_STEPS = 10  # of iterative proportional fitting: the rates settle to some thousandths in 3
LEAST_RATE = 1e-4  # rates are clipped this far from 0 and 1, as log-odds need


def static_encodings(
    profiles: Profiles, user: np.ndarray, at: np.ndarray, liked: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Log-odds of liking relative to the average, by code of each profile column, then by hour.

    Args:
        profiles: of all users.
        user: of each warm-up row, shape (n,).
        at: seconds since the log's origin, shape (n,).
        liked: of each warm-up row, shape (n,).
    """
    tables = (
        _encoded(profiles.codes[user, i], column.n_codes, liked)
        for i, column in enumerate(profiles.columns)
    )
    return (*tables, _encoded(hour_of_day(at), HOURS_A_DAY, liked))


def topic_hours(counts: Tally) -> np.ndarray:
    """Log ratio of likes by hour and topic, of those that hour and topic alone let expect.

    Args:
        counts: of all users, shape (24, n_topics).

    Returns:
        shape (24, n_topics + 1); the last column, of topics that come later, is 0.
    """
    expected = counts.shown.astype(float)
    for _ in range(MARGIN_STEPS):  # Deming and Stephan 1940
        for axis in (0, 1):
            total = np.maximum(expected.sum(axis, keepdims=True), np.finfo(float).tiny)
            expected *= counts.liked.sum(axis, keepdims=True) / total
    strength = fit_strength(counts.liked, counts.shown, expected)
    liked, expected = (
        own + NEIGHBOUR * (np.roll(own, 1, axis=0) + np.roll(own, -1, axis=0))
        for own in (counts.liked, expected)
    )
    found = log_ratio(liked, expected, strength).astype(np.float64)
    return np.pad(found, ((0, 0), (0, 1)))


def _encoded(code: np.ndarray, n_codes: int, liked: np.ndarray) -> np.ndarray:
    """M-estimate of log-odds (Micci-Barreca 2001), shape (n_codes,); 0 for a code without rows."""
    if not len(code):
        return np.zeros(n_codes)
    mean, shown = liked.astype(float).mean(), np.bincount(code, minlength=n_codes)
    likes = np.bincount(code, liked, n_codes)
    rate = (likes + PRIOR_IMPRESSIONS * mean) / (shown + PRIOR_IMPRESSIONS)
    return _logit(np.where(shown, rate, mean)) - _logit(mean)


def _logit(rate: np.ndarray) -> np.ndarray:
    rate = np.clip(rate, LEAST_RATE, 1 - LEAST_RATE)
    return np.log(rate / (1 - rate))
