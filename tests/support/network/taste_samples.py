"""Small networks whose users have tastes that no profile tells."""

from __future__ import annotations

import numpy as np

from feedrank.state.history import InteractionSample


def likes(log_ratio: np.ndarray, views: int, rate: float, seed: int) -> InteractionSample:
    """Impressions of random posts, liked with probability `rate * exp(log_ratio)`.

    Args:
        log_ratio: shape (n_users, n_posts).
        views: of each user.
        rate: like rate where the log ratio is 0.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    n_users, n_posts = log_ratio.shape
    user = np.repeat(np.arange(n_users), views)
    post = rng.integers(0, n_posts, len(user))
    probability = np.minimum(rate * np.exp(log_ratio[user, post]), 0.95)
    liked = rng.random(len(user)) < probability
    segment, step = np.zeros(n_users, np.int64), np.zeros(len(user), np.uint8)
    return InteractionSample(np.arange(n_users), segment, user, post, step, liked)
