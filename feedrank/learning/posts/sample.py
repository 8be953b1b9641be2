"""What some users were shown and liked, each with the whole of their history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.stats.shrinkage import HIGHEST_RATE, fit_strength, ratio


@dataclass(frozen=True)
class Seen:
    """Impressions of some users.

    Attributes:
        user: from 0 to `n_users` - 1, shape (n,).
        segment: of each user, shape (n_users,).
        post: row of the post, shape (n,).
        liked: shape (n,).
    """

    user: np.ndarray
    segment: np.ndarray
    post: np.ndarray
    liked: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Seen:
        return Seen(self.user[rows], self.segment, self.post[rows], self.liked[rows])

    @property
    def n_users(self) -> int:
        """How many users."""
        return len(self.segment)

    def expected(self, rate: np.ndarray) -> np.ndarray:
        """Probability that each impression is liked, each user's own propensity known, (n,).

        Args:
            rate: like rate, shape (n_segments, n_posts).
        """
        expected = rate[self.segment[self.user], self.post]
        liked, total = (np.bincount(self.user, x, self.n_users) for x in (self.liked, expected))
        shown = np.bincount(self.user, minlength=self.n_users)
        own = ratio(liked, total, fit_strength(liked, shown, total))
        return np.minimum(expected * own[self.user], HIGHEST_RATE)

    def matrix(self, values: np.ndarray, n_posts: int) -> csr_matrix:
        """Values of impressions added up by user and post, shape (n_users, n_posts)."""
        shape = (self.n_users, n_posts)
        return csr_matrix((values.astype(float), (self.user, self.post)), shape)
