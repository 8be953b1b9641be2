"""Target encodings of profile columns and the hour, by the warm-up."""

from __future__ import annotations

import numpy as np

from feedrank.log.metadata import HOURS_A_DAY, hour_of_day
from feedrank.state.profiles import Profiles

PRIOR_IMPRESSIONS = 20.0  # prior strength of the average rate, in impressions: any from 5 to 100
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
