"""Latent factors of posts, and each user's factors by ridge regression on the history.

A user with factors z likes a post with factors v about `exp(z @ v)` times as often as the profile
and the user's own like rate let expect. Factors of posts are fitted at each refit
(`feedrank.learning.posts.factors`). Those of users need sums over the history alone, of multiples
of powers of two, exact in any order: training adds them up step after step and serving at once,
and both arrive at the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.stats.shrinkage import HIGHEST_RATE, ratio

# Terms of an impression are multiples of 2**-32 up to 2**4, so that 53 bits sum 2**17 impressions
# of a user exactly; other units and bounds: docs/ranking.md, "Constants".
POST_UNIT, RATE_UNIT, FARTHEST = 2.0**-8, 2.0**-16, 8.0


@dataclass(frozen=True)
class Factors:
    """Latent factors of posts, and the like rates that they multiply.

    Attributes:
        post: factors, multiples of `POST_UNIT`, float64, shape (n_posts, d); d may be 0.
        rate: like rate at the refit, multiples of `RATE_UNIT`, float64,
            shape (n_segments, n_posts).
        of_text: factors that a text's design lets expect, for posts that come later, shape
            (n_design, d); (0, 0) of a refit that is not the last.
    """

    post: np.ndarray
    rate: np.ndarray
    of_text: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(cls, post: np.ndarray, rate: np.ndarray, of_text: np.ndarray | None = None) -> Factors:
        """Factors in their units; rates that quality lifts above `HIGHEST_RATE` are clipped."""
        post, rate = np.clip(post, -FARTHEST, FARTHEST), np.clip(rate, RATE_UNIT, HIGHEST_RATE)
        of_text = np.empty((0, 0)) if of_text is None else of_text
        return cls(_in_units(post, POST_UNIT), _in_units(rate, RATE_UNIT), of_text)

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return self.post.shape[1]

    @cached_property
    def information(self) -> np.ndarray:
        """Variance of one impression's like, multiples of `RATE_UNIT`, (n_segments, n_posts)."""
        return _in_units(self.rate * (1 - self.rate), RATE_UNIT)


class UserEvidence:
    """Sufficient statistics of a few users' factors, summed over their histories.

    Args:
        factors: of posts.
        segment: of each user, shape (n_users,).
    """

    def __init__(self, factors: Factors, segment: np.ndarray) -> None:
        self._factors, self._segment = factors, segment
        n_users, d = len(segment), factors.n_factors
        self._liked, self._expected = np.zeros((2, n_users, 1 + d))
        self._information = np.zeros((n_users, d * (d + 1) // 2))

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Add impressions; `user` counts from 0 within these users."""
        factors = self._factors
        if not factors.n_factors:
            return
        cell = (self._segment[user], post)
        users, row = np.unique(user, return_inverse=True)
        posts, column = np.unique(post, return_inverse=True)
        of_posts = factors.post[posts]
        linear = np.hstack([np.ones((len(posts), 1)), of_posts])

        def times(values: np.ndarray, table: np.ndarray) -> np.ndarray:
            if len(users) == 1:  # a request; a sparse matrix takes ten times as long
                return np.bincount(column, values, len(posts))[None] @ table
            shape = (len(users), len(posts))
            return np.asarray(csr_matrix((values.astype(float), (row, column)), shape) @ table)

        self._liked[users] += times(liked, linear)
        self._expected[users] += times(factors.rate[cell], linear)
        self._information[users] += times(factors.information[cell], _products(of_posts))

    def factors_of(self, users: np.ndarray, strength: float) -> np.ndarray:
        """Posterior means of users' factors, 0 without any evidence, shape (len(users), d).

        Args:
            users: rows of these users.
            strength: prior strength of a user's like rate, in expected likes.
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
    """Posterior mean (n, d) and covariance (n, d, d) of factors under normal priors.

    Args:
        products: upper triangles of the information, shape (n, d (d + 1) / 2).
        surplus: likes beyond the expected ones times factors, prior included, shape (n, d).
        precision: of the prior, shape (d, d).
    """
    d = surplus.shape[1]
    cell = np.zeros((d, d), np.int64)
    i, j = np.triu_indices(d)
    cell[i, j] = cell[j, i] = np.arange(len(i))
    covariance = np.linalg.inv(products[:, cell.ravel()].reshape(-1, d, d) + precision)
    return np.einsum("nij,nj->ni", covariance, surplus), covariance


def _products(factors: np.ndarray) -> np.ndarray:
    """Products of each post's factors, upper triangle, shape (n_posts, d (d + 1) / 2)."""
    i, j = np.triu_indices(factors.shape[1])
    # Columns that are picked lie column by column, and a sparse product would copy them.
    return np.ascontiguousarray(factors[:, i] * factors[:, j])


def _in_units(values: np.ndarray, unit: float) -> np.ndarray:
    return np.asarray(np.round(values / unit) * unit)
