"""Doubt that no request tells, and that methods share as far as their lists do.

Users who are resampled all meet the same posts: an error that everybody's log-odds of a post share
is in the mean of all lists that hold it, however many requests there are. How large it may be is
known from the post's own past: a post that was hardly shown, or in a network whose posts differ
much, may be better or worse than its like rate so far.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from feedrank.params import ValidateParams
from feedrank.validation.hitrate.hit_model import SHIFT_SPREAD

# Variance of a post's error over that of its quality. Chosen, with `SHIFT_SPREAD`, by how often
# intervals hold the truth of simulated networks: docs/validation-results.md, "Coverage".
QUALITY_FACTOR = 3.0


def post_covariance(lists: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Covariance of the mean log-odds of methods' lists, shape (n_methods, n_methods).

    That of methods a and b is `QUALITY_FACTOR` times the sum over posts of (w_a s)(w_b s), where w
    is the share of a post in all places of a method's lists and s the standard deviation of its
    quality.

    Args:
        lists: rows of posts, -1 is an empty place, shape (n_methods, n_requests, k).
        spread: standard deviation of each post's quality in log-odds, given what is known of it,
            same shape.

    Two methods of one list: four posts of .2 each, and one of them alone:

    >>> lists = np.array([[[0, 1, 2, 3]], [[2, -1, -1, -1]]])
    >>> post_covariance(lists, np.full(lists.shape, 0.2)).round(2).tolist()
    [[0.03, 0.03], [0.03, 0.12]]
    """
    n, taken = int(lists.max(initial=0)) + 1, lists >= 0
    methods = zip(lists, spread, taken, strict=True)
    total = [np.bincount(of[there], s[there], n) for of, s, there in methods]
    mean = np.array(total) / np.maximum(taken.sum(axis=(1, 2)), 1)[:, None]
    return np.asarray(QUALITY_FACTOR * mean @ mean.T)


def doubt_correlation(lists: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Correlation of what no request tells of methods' lists, shape (n_methods, n_methods).

    What is not known of a post is the same for all methods, as `post_covariance` says; all else,
    of the variance of a shift's prior, is the same as far as posts of the same request are.

    Args:
        lists: rows of posts, -1 is an empty place, shape (n_methods, n_requests, k).
        spread: as of `post_covariance`.

    Lists of one post in common of four, of which all is known:

    >>> lists = np.array([[[0, 1, 2, 3]], [[3, 4, 5, 6]]])
    >>> doubt_correlation(lists, np.zeros(lists.shape)).tolist()
    [[1.0, 0.25], [0.25, 1.0]]
    """
    covariance = SHIFT_SPREAD**2 * _in_common(lists) + post_covariance(lists, spread)
    deviation = np.sqrt(covariance.diagonal())
    return np.asarray(covariance / np.outer(deviation, deviation))


def shared_normals(lists: np.ndarray, spread: np.ndarray, params: ValidateParams) -> np.ndarray:
    """Standard normal numbers that correlate, shape (n_methods, n_resamples).

    Args:
        lists: as of `doubt_correlation`.
        spread: as of `post_covariance`.
        params: of the bootstrap.
    """
    values, vectors = np.linalg.eigh(doubt_correlation(lists, spread))
    drawn = np.random.default_rng((params.seed, 1)).standard_normal((len(lists), params.bootstrap))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ drawn)


def _in_common(lists: np.ndarray) -> np.ndarray:
    """Share of posts that two methods' lists have in common, request by request.

    Of lists of different lengths it is the number in common over the root of the product of their
    numbers of posts.
    """
    shared, n_taken = np.eye(len(lists)), np.array([np.sum(of >= 0) for of in lists], np.float64)
    for one, other in combinations(range(len(lists)), 2):
        first, second = lists[one, :, :, None], lists[other, :, None]
        is_shared = np.any((first == second) & (first >= 0), axis=2)
        most = np.sqrt(n_taken[one] * n_taken[other])
        shared[one, other] = shared[other, one] = is_shared.sum() / max(most, 1.0)
    return shared
