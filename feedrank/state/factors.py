"""Factors: directions in which users of the same profile differ, and where each user stands.

A user at position z likes a post at position v about `exp(z @ v)` times as often as profile and
propensity let expect. Positions of posts are learned at the begin of a refit
(`feedrank.learning.posts.factors`); the user's follows from the history by ridge regression. All
that it takes
are sums over the history of multiples of powers of two, exact in any order: training adds them up
step after step and serving at once, and both arrive at the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.stats.shrinkage import HIGHEST_RATE, ratio

POST_UNIT, RATE_UNIT = 2.0**-8, 2.0**-16
FARTHEST = 8.0


@dataclass(frozen=True)
class Factors:
    """Positions of posts, and what they are measured against.

    Attributes:
        post: positions, multiples of `POST_UNIT`, float64, shape (n_posts, d); d may be 0.
        rate: like rate at the begin of the refit, multiples of `RATE_UNIT`, float64,
            shape (n_segments, n_posts).
    """

    post: np.ndarray
    rate: np.ndarray

    @classmethod
    def of(cls, post: np.ndarray, rate: np.ndarray) -> Factors:
        """Factors in their units; a rate that quality lifts above 1 is drawn below it."""
        within = np.clip(post, -FARTHEST, FARTHEST)
        likely = np.clip(rate, RATE_UNIT, HIGHEST_RATE)
        return cls(_in_units(within, POST_UNIT), _in_units(likely, RATE_UNIT))

    @property
    def n_factors(self) -> int:
        """Number of directions."""
        return self.post.shape[1]

    @cached_property
    def information(self) -> np.ndarray:
        """Variance of one impression's like, in units of `RATE_UNIT`, (n_segments, n_posts)."""
        return _in_units(self.rate * (1 - self.rate), RATE_UNIT)


class UserEvidence:
    """What the history of a few users says of their positions.

    Args:
        factors: of a refit.
        segment: of each user, shape (n_users,).
    """

    def __init__(self, factors: Factors, segment: np.ndarray) -> None:
        self._factors, self._segment = factors, segment
        n_users, d = len(segment), factors.n_factors
        self._liked, self._expected = np.zeros((2, n_users, 1 + d))
        self._information = np.zeros((n_users, d * (d + 1) // 2))

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Learn impressions; `user` counts from 0 within these users."""
        factors = self._factors
        if not factors.n_factors:
            return
        cell = (self._segment[user], post)
        users, row = np.unique(user, return_inverse=True)
        posts, column = np.unique(post, return_inverse=True)
        positions = factors.post[posts]
        linear = np.hstack([np.ones((len(posts), 1)), positions])

        def times(values: np.ndarray, table: np.ndarray) -> np.ndarray:
            shape = (len(users), len(posts))
            return np.asarray(csr_matrix((values.astype(float), (row, column)), shape) @ table)

        self._liked[users] += times(liked, linear)
        self._expected[users] += times(factors.rate[cell], linear)
        self._information[users] += times(factors.information[cell], _products(positions))

    def positions(self, users: np.ndarray, strength: float) -> np.ndarray:
        """Where users stand, 0 without any evidence, shape (len(users), d).

        Args:
            users: rows of these users.
            strength: prior weight of propensity, in expected likes.
        """
        d = self._factors.n_factors
        if not d:
            return np.empty((len(users), 0))
        liked, expected = self._liked[users], self._expected[users]
        own = ratio(liked[:, 0], expected[:, 0], strength)[:, None]
        surplus = liked[:, 1:] - own * expected[:, 1:]
        return ridge(own * self._information[users], surplus, np.eye(d))[0]


def ridge(
    products: np.ndarray, surplus: np.ndarray, precision: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n, d) and covariance (n, d, d) of positions under normal priors.

    Args:
        products: upper triangles of the information, shape (n, d (d + 1) / 2).
        surplus: likes beyond the expected ones times positions, prior included, shape (n, d).
        precision: of the prior, shape (d, d).
    """
    d = surplus.shape[1]
    place = np.zeros((d, d), np.int64)
    i, j = np.triu_indices(d)
    place[i, j] = place[j, i] = np.arange(len(i))
    covariance = np.linalg.inv(products[:, place.ravel()].reshape(-1, d, d) + precision)
    return np.einsum("nij,nj->ni", covariance, surplus), covariance


def _products(positions: np.ndarray) -> np.ndarray:
    """Products of each post's positions, of an upper triangle, shape (n_posts, d (d + 1) / 2)."""
    i, j = np.triu_indices(positions.shape[1])
    # Columns that are picked lie column by column, and a sparse product would copy them.
    return np.ascontiguousarray(positions[:, i] * positions[:, j])


def _in_units(values: np.ndarray, unit: float) -> np.ndarray:
    return np.asarray(np.round(values / unit) * unit)
