"""Tastes: what is said of a post's cluster by who, among people of one profile, likes it."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.learning.posts.sample import expected_likes, user_post_matrix
from feedrank.state.history import InteractionSample
from feedrank.stats.shrinkage import fit_strength, ratio

MOST_CELLS = 200_000  # that the strength is fitted on
LEAST = 0.5  # expected likes of a prior; below, one impression is no small part of what is expected
AT_FIRST = 5.0  # expected likes: a strength at which tastes can be found where there are any
TINY = 1e-30


class Tastes:
    """Some users' likes of clusters of posts, beyond what is expected of them.

    A user likes the posts of a cluster `ratio` times as often as expected; ratios are Gamma with
    mean 1 and shape `strength`. What a user's own impression of a post says to the ratio is taken
    out where that very post is judged, or each post would be held where it stands. How strong
    tastes are is judged by half of the users in clusters that the other half alone would find: who
    likes a post by chance would else seem to like its cluster.

    Args:
        sample: impressions of the users.
        rate: like rate, shape (n_segments, n_posts).
        positions: of posts in the directions of `fit_factors`, to start from, (n_posts, d).
        dispersion: variance of likes over that of Poisson counts.
    """

    def __init__(
        self, sample: InteractionSample, rate: np.ndarray, positions: np.ndarray, dispersion: float
    ) -> None:
        expected = expected_likes(sample, rate)
        self.positions = positions
        self.strength = AT_FIRST
        self._halves = [
            _Half(sample, expected, sample.user % 2 == half, len(positions), dispersion)
            for half in (0, 1)
        ]

    def evidence(self, belonging: np.ndarray) -> np.ndarray:
        """Log likelihood of each post's likes by cluster, up to a constant, (n_posts, n_clusters).

        Args:
            belonging: probability of each cluster, shape (n_posts, n_clusters); after the first
            call,
                such as follows from the evidence of the former one.
        """
        known = [half.evidence for half in self._halves if half.evidence is not None]
        if known:
            log = np.log(belonging + TINY)
            cells = [
                half.cells(np.argmax(log - own, axis=1), belonging.shape[1])
                for half, own in zip(self._halves, known, strict=True)
            ]
            fitted = fit_strength(*(np.concatenate(c) for c in zip(*cells, strict=True)))
            self.strength = max(fitted, LEAST)
        return np.sum([half.judge(belonging, self.strength) for half in self._halves], axis=0)


class _Half:
    """Every other user's likes."""

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
        self._liked = user_post_matrix(sample, sample.liked, n_posts)
        liked = sample.liked.astype(bool)
        self._user, self._post = sample.user[liked], sample.post[liked]
        self._of_liked = expected[liked]

    def judge(self, belonging: np.ndarray, strength: float) -> np.ndarray:
        """Predictive log probabilities, to second order in what an impression lets expect."""
        likes = self._liked @ belonging + strength
        expected = self._expected @ belonging + strength
        unliked = self._expected.T @ (likes / expected)
        unliked += (belonging - 0.5) * (self._squared.T @ (likes / expected**2))
        of_likes = self._of_likes(belonging, likes, expected)
        self.evidence = (of_likes - unliked) / self._dispersion
        return self.evidence

    def _of_likes(
        self, belonging: np.ndarray, likes: np.ndarray, expected: np.ndarray
    ) -> np.ndarray:
        """What the liked impressions add, each against what its user liked besides."""
        own = belonging[self._post]
        others = likes[self._user] - own
        without = expected[self._user] - own * self._of_liked[:, None]
        n = len(self._post)
        of_post = csr_matrix((np.ones(n), (self._post, np.arange(n))), (self._n_posts, n))
        share = self._of_liked[:, None] / without
        # The impression itself is among the unliked ones of `judge`, one like too many.
        return np.asarray(of_post @ (np.log(others / without) - np.log1p(share) + own * share))

    def cells(
        self, cluster: np.ndarray, n_clusters: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Likes, impressions and expected likes of some users by cluster, each of shape (n,)."""
        member = np.eye(n_clusters)[cluster]
        of_users = (m @ member for m in (self._liked, self._shown, self._expected))
        liked, shown, expected = (c[:: max(1, 2 * c.size // MOST_CELLS)].ravel() for c in of_users)
        return liked, shown, expected


def taste_ratios(
    sample: InteractionSample, expected: np.ndarray, cluster: np.ndarray, strength: float
) -> np.ndarray:
    """Of each impression, how much more its user likes posts of its cluster than expected, (n,).

    Args:
        sample: impressions of the users.
        expected: probability that each is liked, shape (n,).
        cluster: of each post, shape (n_posts,).
        strength: prior weight in expected likes.
    """
    n_clusters = int(cluster.max(initial=0)) + 1
    cell = sample.user.astype(np.int64) * n_clusters + cluster[sample.post]
    liked, total = (np.bincount(cell, x) for x in (sample.liked, expected))
    return np.asarray(ratio(liked, total, strength)[cell])
