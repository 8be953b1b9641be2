"""Impressions: rows of the feed in memory, column by column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.log.columns import Columns


@dataclass(frozen=True)
class Impressions(Columns):
    """Posts shown to users, one row each, sorted by (at, user, post).

    Attributes:
        user: row of the user in `users.parquet`, uint32, shape (n,).
        post: row of the post in `posts.parquet`, uint32, shape (n,).
        at: seconds since the log's origin, uint32, shape (n,).
        liked: 0 or 1, uint8, shape (n,).
    """

    user: np.ndarray
    post: np.ndarray
    at: np.ndarray
    liked: np.ndarray

    def sorted(self) -> Impressions:
        """The same rows in the total order of a bucket, whatever order they came in."""
        return self[np.lexsort((self.liked, self.post, self.user, self.at))]

    def before(self, at: int) -> Impressions:
        """Rows strictly before `at` seconds; needs sorted rows."""
        return self[: int(np.searchsorted(self.at, at, side="left"))]


@dataclass(frozen=True)
class LoggedExposures(Columns):
    """The exposure that each of some impressions belongs to, row by row.

    Attributes:
        propensity: with which the impression's post was in its place of the list, float32, shape
            (n,); NaN where no exposure is known: the old feed.
        policy: 0 of the old feed, i > 0 of `LogMeta.policies[i - 1]`, uint16, shape (n,).
    """

    propensity: np.ndarray
    policy: np.ndarray

    @classmethod
    def none(cls, n: int) -> LoggedExposures:
        """Of `n` impressions of the old feed."""
        return cls(np.full(n, np.nan, np.float32), np.zeros(n, np.uint16))
