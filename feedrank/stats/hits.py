"""Success at k: the hit rate of one list."""

from __future__ import annotations

import numpy as np


def hits_at_each_k(is_liked: np.ndarray) -> np.ndarray:
    """Hits of the best 1, 2, ... k of a list: 1 if the user liked at least one of these posts.

    Success at k of information retrieval.

    Args:
        is_liked: bool, by place in the list, shape (..., k).

    Returns:
        0 or 1, float64, same shape. The mean of a column over requests is a hit rate.

    >>> hits_at_each_k(np.array([[False, True, False], [False, False, False]]))
    array([[0., 1., 1.],
           [0., 0., 0.]])
    """
    return np.maximum.accumulate(is_liked, axis=-1).astype(np.float64)


def expected_hit_at_k(probability: np.ndarray) -> np.ndarray:
    """Probability of at least one like, had the list been shown: 1 - prod(1 - p).

    Args:
        probability: of a like, shape (n_requests, k); likes of one list are independent given it.

    Returns:
        float64, shape (n_requests,).

    >>> expected_hit_at_k(np.array([[0.5, 0.5], [0.1, 0.0]]))
    array([0.75, 0.1 ])
    """
    return 1.0 - np.prod(1.0 - probability.astype(np.float64), axis=1)
