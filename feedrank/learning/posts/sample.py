"""Expected likes of a sample of users, and its matrices of users and posts."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.state.history import InteractionSample
from feedrank.stats.shrinkage import HIGHEST_RATE, fit_strength, ratio


def expected_likes(sample: InteractionSample, rate: np.ndarray) -> np.ndarray:
    """Probability that each impression is liked, given its user's own like rate, shape (n,).

    Args:
        sample: of users, each with the whole of the history.
        rate: like rate, shape (n_segments, n_posts).
    """
    own = user_ratios(sample, rate)[sample.user]
    return np.minimum(rate[sample.segment[sample.user], sample.post] * own, HIGHEST_RATE)


def user_ratios(sample: InteractionSample, rate: np.ndarray) -> np.ndarray:
    """Each user's likes over expected ones, shrunk, shape (n_users,)."""
    expected, n = rate[sample.segment[sample.user], sample.post], sample.n_users
    liked, total = (np.bincount(sample.user, x, n) for x in (sample.liked, expected))
    shown = np.bincount(sample.user, minlength=n)
    return np.asarray(ratio(liked, total, fit_strength(liked, shown, total)))


def user_post_matrix(sample: InteractionSample, values: np.ndarray, n_posts: int) -> csr_matrix:
    """Values of impressions by user and post, float32, shape (n_users, n_posts).

    Impressions stand as they are in the sample, those of one pair side by side: products add them
    up. To sort them takes as long as ten products, and float64 twice as long as float32.
    """
    begin = np.searchsorted(sample.user, np.arange(sample.n_users + 1))
    return csr_matrix((values.astype(np.float32), sample.post, begin), (sample.n_users, n_posts))
