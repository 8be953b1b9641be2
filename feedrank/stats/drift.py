"""Drift of distributions: population stability index and effective number of posts."""

from __future__ import annotations

import numpy as np


def stability_index(counted: np.ndarray, expected: np.ndarray) -> float:
    """Population stability index of counts against shares: 0 if alike, above 0.25 if they differ.

    The sum of (p - q) ln(p / q) (Siddiqi 2006, whose threshold is 0.25). Half a request is added to
    every band, so that an empty band counts for little where there are few requests.

    Args:
        counted: requests by band, shape (n_bands,).
        expected: share of each band, same shape.
    """
    p = (counted + 0.5) / (counted.sum() + 0.5 * len(counted))
    q = (expected * counted.sum() + 0.5) / (counted.sum() + 0.5 * len(counted))
    return float(np.sum((p - q) * np.log(p / q)))


def effective_posts(posts: np.ndarray) -> float:
    """Inverse of Simpson's index (1949), unbiased; inf if no post repeats.

    Args:
        posts: rows of the listed posts, shape (n,).
    """
    n = np.bincount(posts)
    pairs = float(np.sum(n * (n - 1)))
    return len(posts) * (len(posts) - 1) / pairs if pairs else float("inf")
