"""Contexts in which a topic may do better or worse than elsewhere, as rows of one table a refit.

The rows lie end to end: hours of the day, days of the week, ages of posts, and the codes of all
profile columns (`WarmupParameters.column_offsets`).
"""

from __future__ import annotations

import numpy as np

from feedrank.log.metadata import HOURS_A_DAY, SECONDS_A_DAY

DAYS_A_WEEK, AGES = 7, 10
FIRST_DAY = HOURS_A_DAY
FIRST_AGE = FIRST_DAY + DAYS_A_WEEK
FIRST_CODE = FIRST_AGE + AGES
# Of a bound of an age: ages are told from their logarithms, which are rounded to four decimals.
ROUNDED = 1e-3


def day_of_week(at: np.ndarray) -> np.ndarray:
    """Day of the week, 0 to 6 from that of the log's first day, of seconds since its origin."""
    return at // SECONDS_A_DAY % DAYS_A_WEEK


def age_of(log_age: np.ndarray) -> np.ndarray:
    """Age of posts by doublings, from log1p of the steps since they were first shown.

    >>> age_of(np.log1p([0, 1, 2, 3, 7, 10_000])).tolist()
    [0, 1, 1, 2, 3, 9]
    """
    return np.minimum(np.floor(log_age / np.log(2) + ROUNDED), AGES - 1).astype(np.int64)
