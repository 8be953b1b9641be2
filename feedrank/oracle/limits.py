"""Two limits on a simulated network: what could be recommended by knowing the hidden truth.

The *oracle* knows every probability. The *informed* limit knows the post groups and the size of
every effect, but of what is a post's or a user's own it knows only what the log says so far: no
honest ranker can be expected to do better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from feedrank.demo.truth import N_CLUSTERS, Truth
from feedrank.log.files import SECONDS_A_DAY, Log
from feedrank.log.impressions import Impressions
from feedrank.ranking.top_k import best_rows
from feedrank.stats.logistic import fit_logistic

NEWTON_STEPS = 4
TINY = 1e-9


def oracle_lists(
    truth: Truth,
    users: np.ndarray,
    at: np.ndarray,
    k: int,
    barred: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """The k posts most likely to be liked, best first, shape (n_requests, k).

    Given the user, likes of different posts are independent, so no other list is more likely to
    hold a liked post.

    Args:
        truth: of the network.
        users: rows of users, shape (n_requests,).
        at: seconds since the truth's origin, shape (n_requests,).
        k: length of a list.
        barred: posts that are not listed, of each request. None: all may be.

    Returns:
        -1 where too few posts are left.
    """
    lists = np.full((len(users), k), -1)
    for i, (user, moment) in enumerate(zip(users.tolist(), at.tolist(), strict=True)):
        best = _best(truth.probabilities(user, moment), k, None if barred is None else barred[i])
        lists[i, : len(best)] = best
    return lists


def informed_lists(
    truth: Truth,
    log: Log,
    users: np.ndarray,
    at: np.ndarray,
    k: int,
    cutoff: int | None = None,
    barred: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """The k posts with the highest posterior probability of a like, shape (n_requests, k).

    Posts are known from whole days before the request, its user up to the request itself.

    Args:
        truth: of the network that the log was extracted from.
        log: the extracted log.
        users: rows of users, shape (n_requests,).
        at: seconds since the log's origin, shape (n_requests,).
        k: length of a list.
        cutoff: seconds since the log's origin; nothing from then on is known. None: no such limit.
        barred: posts that are not listed, of each request. None: all may be.

    Returns:
        -1 where too few posts are left.
    """
    shift = truth.seconds(log.meta.origin_at)
    as_of = at if cutoff is None else np.minimum(at, cutoff)
    quality = PostQuality.learn(truth, log, as_of // SECONDS_A_DAY * SECONDS_A_DAY, shift)
    lists = np.full((len(users), k), -1)
    for request, rows in _histories(log, users, as_of):
        mean, variance = quality.as_of(int(as_of[request]))
        taste = UserTaste.learn(truth, rows, mean, shift)
        posts = np.arange(truth.n_posts)
        moment = np.full(len(posts), at[request] + shift)
        known = truth.known_logit(np.full(len(posts), users[request]), posts, moment)
        own, doubt = taste.of_posts(truth)
        chance = _mean_probability(known + mean + own, variance + doubt)
        best = _best(chance, k, None if barred is None else barred[request])
        lists[request, : len(best)] = best
    return lists


def _best(chance: np.ndarray, k: int, barred: np.ndarray | None) -> np.ndarray:
    """The k best posts, or fewer where fewer are not barred."""
    if barred is None:
        return best_rows(chance, k)
    open_posts = np.delete(np.arange(len(chance)), barred)
    return np.asarray(open_posts[best_rows(chance[open_posts], k)])


@dataclass(frozen=True)
class PostQuality:
    """Posterior of each post's own quality at a few moments.

    Attributes:
        moments: ascending, shape (n_moments,).
        mean: shape (n_moments, n_posts).
        variance: same shape.
    """

    moments: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def learn(cls, truth: Truth, log: Log, moments: np.ndarray, shift: int) -> PostQuality:
        """From the impressions before each moment: their likes against the expected ones."""
        moments = np.unique(moments)
        shown, expected, likes = np.zeros((3, len(moments) + 1, truth.n_posts))
        for rows in log.buckets():
            step = np.searchsorted(moments, rows.at, side="right")
            place = step * truth.n_posts + rows.post
            known = truth.known_logit(rows.user, rows.post, rows.at.astype(np.int64) + shift)
            weights = (None, _mean_probability(known, _user_variance(truth)[rows.post]), rows.liked)
            for total, weight in zip((shown, expected, likes), weights, strict=True):
                total += np.bincount(place, weight, total.size).reshape(total.shape)
        shown, expected, likes = (np.cumsum(c, axis=0)[:-1] for c in (shown, expected, likes))
        return cls(moments, *_posterior(shown, expected, likes, truth.effects.quality))

    def as_of(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance at the last moment not after `at`, each of shape (n_posts,)."""
        step = int(np.searchsorted(self.moments, at, side="right")) - 1
        return self.mean[step], self.variance[step]


@dataclass(frozen=True)
class UserTaste:
    """Posterior of one user's own: propensity, taste for each group, position among the factors.

    Attributes:
        mean: shape (1 + N_CLUSTERS + N_FACTORS,).
        covariance: shape (that, that).
    """

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def learn(cls, truth: Truth, rows: Impressions, quality: np.ndarray, shift: int) -> UserTaste:
        """From one user's own impressions, by Newton's method (the Laplace approximation)."""
        known = truth.known_logit(rows.user, rows.post, rows.at.astype(np.int64) + shift)
        known = known + quality[rows.post]
        design, precision = _design(truth, rows.post), _user_precision(truth)
        fit = fit_logistic(design, rows.liked, np.zeros(len(precision)), precision, known)
        return cls(fit.weights, np.linalg.inv(fit.curvature))

    def of_posts(self, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of what is the user's own for each post, shape (n_posts,)."""
        design = _design(truth, np.arange(truth.n_posts))
        return design @ self.mean, np.einsum("ij,ij->i", design @ self.covariance, design)


def _histories(log: Log, users: np.ndarray, as_of: np.ndarray) -> Iterator[tuple[int, Impressions]]:
    """Each request's number, with its user's impressions strictly before it."""
    for number in range(log.meta.n_buckets):
        first, last = log.meta.user_range(number)
        asked = np.flatnonzero((users >= first) & (users < last))
        rows = log.bucket(number)
        rows = rows[np.isin(rows.user, users[asked])]
        rows = rows[np.argsort(rows.user, kind="stable")]
        for request in asked.tolist():
            start, end = np.searchsorted(rows.user, [users[request], users[request] + 1])
            yield request, rows[int(start) : int(end)].before(int(as_of[request]))


def _posterior(
    shown: np.ndarray, expected: np.ndarray, likes: np.ndarray, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of qualities N(0, spread) as if all of a post's rows were alike."""
    precision = 1 / max(spread, TINY) ** 2
    base = logit(np.clip(expected / np.maximum(shown, 1), TINY, 1 - TINY))
    mean = np.zeros_like(base)
    for _ in range(NEWTON_STEPS):
        p = expit(base + mean)
        information = shown * p * (1 - p) + precision
        mean = mean + (likes - shown * p - precision * mean) / information
    return mean, 1 / information


def _mean_probability(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean of expit(x) for a normal x (MacKay's approximation)."""
    return np.asarray(expit(mean / np.sqrt(1 + np.pi * variance / 8)))


def _design(truth: Truth, posts: np.ndarray) -> np.ndarray:
    groups = truth.cluster[posts][:, None] == np.arange(N_CLUSTERS)
    return np.hstack([np.ones((len(posts), 1)), groups, truth.post_factors[posts]])


def _user_spreads(truth: Truth) -> np.ndarray:
    e = truth.effects
    n_factors = truth.post_factors.shape[1]
    return np.concatenate([[e.like_rate], [e.taste] * N_CLUSTERS, [e.factors] * n_factors])


def _user_precision(truth: Truth) -> np.ndarray:
    return np.asarray(1 / np.maximum(_user_spreads(truth), TINY) ** 2)


def _user_variance(truth: Truth) -> np.ndarray:
    """Variance over users of what is their own for each post, shape (n_posts,)."""
    e = truth.effects
    of_factors = e.factors**2 * (truth.post_factors**2).sum(axis=1)
    return np.asarray(e.like_rate**2 + e.taste**2 + of_factors)
