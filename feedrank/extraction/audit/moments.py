"""Moments of users: which of them were known before the users' first impressions?"""

from __future__ import annotations

import numpy as np

from feedrank.log.files import Log
from feedrank.log.metadata import SECONDS_A_DAY

# A registration comes before all impressions but for clocks that differ; a last login after most.
MOST_LATE = 0.1
WHY_LATE = (
    "a moment after the first impression of many users, as a last login: name it in source.profile "
    "if it never changes"
)


def late_moments(log: Log) -> list[str]:
    """Columns of users whose day is later than their first impression's for many of them.

    Such a moment may have been overwritten: what it holds now was not known to earlier requests.
    """
    days = log.user_days
    if days.columns.empty:
        return []
    first = np.full(log.meta.n_users, -1)
    for rows in log.buckets():
        first[rows.user[::-1]] = rows.at[::-1] // SECONDS_A_DAY  # rows are in order of time
    seen = np.flatnonzero(first >= 0)
    return [str(c) for c in days if _is_late(days[c].to_numpy()[seen], first[seen])]


def _is_late(day: np.ndarray, first: np.ndarray) -> bool:
    return is_late(int((day > first).sum()), int((~np.isnan(day)).sum()))  # NaN is not above


def is_late(n_later: int, n_given: int) -> bool:
    """Whether a moment of some users is later than the first impression of too many of them."""
    return n_later > MOST_LATE * n_given
