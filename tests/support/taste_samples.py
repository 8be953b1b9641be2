"""Small networks whose users have tastes that no profile tells."""

from __future__ import annotations

import numpy as np

from feedrank.learning.posts.sample import Seen


def likes(log_ratio: np.ndarray, views: int, rate: float, seed: int) -> Seen:
    """Each user sees posts at random and likes them by `rate * exp(log_ratio)`.

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
    liked = (rng.random(len(user)) < probability).astype(np.uint8)
    return Seen(user, np.zeros(n_users, np.int64), post, liked)
