"""Tastes of users as evidence of posts' clusters, and their prior strength by cross-fitting."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.learning.posts.sample import expected_likes, user_post_matrix
from feedrank.state.history import InteractionSample
from feedrank.stats.shrinkage import MOST_UNITS, fit_strength, ratio

# Least and first prior strength in expected likes. Below the least, the second-order terms of
# `_Half.update` no longer hold; the first may be 2 to 15 (docs/ranking.md, "Constants").
LEAST_STRENGTH, FIRST_STRENGTH = 0.5, 5.0
LEAST_PROBABILITY = 1e-30  # instead of 0 in a logarithm


class Tastes:
    """Likes of clusters by some users, beyond the expected ones.

    A user likes the posts of a cluster `ratio` times as often as expected; ratios are Gamma with
    mean 1 and shape `strength`. A post's cluster is inferred from its users' other likes
    (leave-one-out): else each post would confirm the cluster that it is in. The strength is
    cross-fitted: each half of the users is judged in clusters that the other half alone finds, or
    users who like a post by chance would seem to like its cluster.

    Args:
        sample: impressions of the users.
        rate: like rate, shape (n_segments, n_posts).
        factors: of posts by `fit_factors`, to start from, shape (n_posts, d).
        dispersion: variance of likes over that of Poisson counts.
    """

    def __init__(
        self, sample: InteractionSample, rate: np.ndarray, factors: np.ndarray, dispersion: float
    ) -> None:
        expected = expected_likes(sample, rate)
        self.factors = factors
        self.strength = FIRST_STRENGTH
        self._halves = [
            _Half(sample, expected, sample.user % 2 == half, len(factors), dispersion)
            for half in (0, 1)
        ]

    def evidence(self, membership: np.ndarray) -> np.ndarray:
        """Log likelihood of each post's likes by cluster, up to a constant, (n_posts, n_clusters).

        Args:
            membership: probability of each cluster, shape (n_posts, n_clusters); after the first
                call, it follows from the previous evidence.
        """
        previous = [half.evidence for half in self._halves if half.evidence is not None]
        if previous:
            log = np.log(membership + LEAST_PROBABILITY)
            cells = [
                half.cells(np.argmax(log - own, axis=1), membership.shape[1])
                for half, own in zip(self._halves, previous, strict=True)
            ]
            fitted = fit_strength(*(np.concatenate(c) for c in zip(*cells, strict=True)))
            self.strength = max(fitted, LEAST_STRENGTH)
        return np.sum([half.update(membership, self.strength) for half in self._halves], axis=0)


class _Half:
    """Every other user of a sample."""

    def __init__(
        self,
        sample: InteractionSample,
        expected: np.ndarray,
        own: np.ndarray,
        n_posts: int,
        dispersion: float,
    ) -> None:
        sample, expected = sample[own], expected[own]
        self.evidence: np.ndarray | None = None
        self._n_posts = n_posts
        self._dispersion = dispersion
        self._shown = user_post_matrix(sample, np.ones(len(expected)), n_posts)
        self._expected = user_post_matrix(sample, expected, n_posts)
        self._squared = user_post_matrix(sample, expected**2, n_posts)
        likes = sample[sample.liked]
        self._liked = user_post_matrix(likes, np.ones(len(likes)), n_posts)
        self._user, self._post = likes.user, likes.post
        self._of_liked = expected[sample.liked].astype(np.float32)

    def update(self, membership: np.ndarray, strength: float) -> np.ndarray:
        """Leave-one-out predictive log probabilities, to second order in an impression's rate."""
        membership = membership.astype(np.float32)
        likes = self._liked @ membership + strength
        expected = self._expected @ membership + strength
        unliked = self._expected.T @ (likes / expected)
        unliked += (membership - 0.5) * (self._squared.T @ (likes / expected**2))
        of_likes = self._of_likes(membership, likes, expected)
        self.evidence = (of_likes - unliked) / self._dispersion
        return self.evidence

    def _of_likes(
        self, membership: np.ndarray, likes: np.ndarray, expected: np.ndarray
    ) -> np.ndarray:
        """Terms of the liked impressions, each given its user's other likes."""
        own = membership[self._post]
        others = likes[self._user] - own
        without = expected[self._user] - own * self._of_liked[:, None]
        n = len(self._post)
        one = np.ones(n, np.float32)
        of_post = csr_matrix((one, (self._post, np.arange(n))), (self._n_posts, n))
        share = self._of_liked[:, None] / without
        # The impression itself is among the unliked ones of `update`, one like too many.
        return np.asarray(of_post @ (np.log(others / without) - np.log1p(share) + own * share))

    def cells(
        self, cluster: np.ndarray, n_clusters: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Likes, impressions and expected likes by cluster of some users, (n, n_clusters) each."""
        member = np.eye(n_clusters, dtype=np.float32)[cluster]
        own = np.flatnonzero(np.diff(self._shown.indptr))  # the matrices hold all users' rows
        own = own[:: max(1, -(-2 * len(own) * n_clusters // MOST_UNITS))]
        liked, shown, expected = (
            m[own] @ member for m in (self._liked, self._shown, self._expected)
        )
        return liked, shown, expected


def taste_ratios(
    sample: InteractionSample, expected: np.ndarray, cluster: np.ndarray, strength: float
) -> np.ndarray:
    """Posterior ratio of each impression's user in its post's cluster, shape (n,).

    Args:
        sample: impressions of the users.
        expected: probability that each is liked, shape (n,).
        cluster: of each post, shape (n_posts,).
        strength: prior strength in expected likes.
    """
    n_clusters = int(cluster.max(initial=0)) + 1
    cell = sample.user.astype(np.int64) * n_clusters + cluster[sample.post]
    liked, total = (np.bincount(cell, x) for x in (sample.liked, expected))
    return np.asarray(ratio(liked, total, strength)[cell])
