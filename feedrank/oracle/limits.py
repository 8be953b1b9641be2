"""Two limits on a simulated network: lists made with knowledge of the hidden truth.

The *oracle* has every probability. The *informed* limit has the clusters of posts and the size of
every effect, but learns the quality of posts and the tastes of users from the log so far: the Bayes
rule, up to a Laplace approximation, so that no ranker that learns from the log can be expected to
exceed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit, logit

from feedrank.demo.truth import N_CLUSTERS, Truth
from feedrank.engines.engine import sum_parts
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.ranking.top_k import best_rows
from feedrank.state.counts.tally import ordered_sum
from feedrank.stats.logistic import fit_logistic

# Newton steps for the quality of posts. Each squares the error, of some tenths of a logit at first:
# after four it is below rounding.
NEWTON_STEPS = 4
TINY = 1e-9  # logits: a spread of 0 gets a finite precision, a rate of 0 a finite log-odds

Barred = Sequence[np.ndarray] | None


def oracle_lists(
    truth: Truth, users: np.ndarray, at: np.ndarray, k: int, barred: Barred = None
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
        lists[i] = _best(truth.probabilities(user, moment), k, barred, i)
    return lists


def informed_lists(
    truth: Truth, log: Log, users: np.ndarray, at: np.ndarray, k: int, barred: Barred = None
) -> np.ndarray:
    """The k posts with the highest posterior probability of a like, shape (n_requests, k).

    The quality of posts is learned from whole days before the request, the taste of its user from
    all before the request itself.

    Args:
        truth: of the network that the log was extracted from.
        log: the extracted log.
        users: rows of users, shape (n_requests,).
        at: seconds since the log's origin, shape (n_requests,).
        k: length of a list.
        barred: posts that are not listed, of each request. None: all may be.

    Returns:
        -1 where too few posts are left.
    """
    quality = PostQuality.before(truth, log, at)
    lists = np.full((len(users), k), -1)
    for number in range(log.meta.n_buckets):
        requests, own = informed_in(truth, log, quality, users, at, k, barred, number)
        lists[requests] = own
    return lists


def informed_in(
    truth: Truth,
    log: Log,
    quality: PostQuality,
    users: np.ndarray,
    at: np.ndarray,
    k: int,
    barred: Barred,
    bucket: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the requests of one bucket's users, and their lists as of `informed_lists`."""
    shift, posts = truth.seconds(log.meta.origin_at), np.arange(truth.n_posts)
    first, last = log.meta.user_range(bucket)
    requests = np.flatnonzero((users >= first) & (users < last))
    lists, design = np.full((len(requests), k), -1), _design(truth, posts)
    for row, (request, rows) in enumerate(_histories(log.bucket(bucket), users, at, requests)):
        mean, variance = quality.as_of(int(at[request]))
        own, doubt = UserTaste.learn(truth, rows, mean, shift).of_posts(design)
        known = truth.known_logit(users[request], posts, at[request] + shift)
        chance = _mean_probability(known + mean + own, variance + doubt)
        lists[row] = _best(chance, k, barred, request)
    return requests, lists


def _best(chance: np.ndarray, k: int, barred: Barred, request: int) -> np.ndarray:
    """The k best of the posts that are not barred, then -1, shape (k,)."""
    open_posts = np.delete(np.arange(len(chance)), [] if barred is None else barred[request])
    best = open_posts[best_rows(chance[open_posts], k)]
    return np.pad(best, (0, k - len(best)), constant_values=-1)


@dataclass(frozen=True)
class PostQuality:
    """Posterior of each post's own quality, in logits, at a few moments.

    Attributes:
        moments: seconds since the log's origin, ascending, shape (n_moments,).
        mean: shape (n_moments, n_posts).
        variance: same shape.
    """

    moments: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def before(cls, truth: Truth, log: Log, at: np.ndarray) -> PostQuality:
        """As of the days of moments, seconds since the log's origin."""
        days = at // SECONDS_A_DAY * SECONDS_A_DAY
        return cls.learn(truth, log, days, truth.seconds(log.meta.origin_at))

    @classmethod
    def learn(cls, truth: Truth, log: Log, moments: np.ndarray, shift: int) -> PostQuality:
        """From the impressions before each moment: their likes against the expected ones.

        Args:
            truth: of the network.
            log: the extracted log.
            moments: seconds since the log's origin, in any order.
            shift: seconds from the truth's origin to the log's.
        """
        moments = np.unique(moments)
        job = partial(_counts_of_bucket, truth, log, moments, shift)
        counts = sum_parts(job, ordered_sum, log.meta.n_buckets, "learning how good posts are")
        shown, expected, likes = np.cumsum(counts, axis=1)[:, :-1]
        return cls(moments, *_posterior(shown, expected, likes, truth.effects.quality))

    def as_of(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance at the last moment not after `at`, each of shape (n_posts,)."""
        step = int(np.searchsorted(self.moments, at, side="right")) - 1
        return self.mean[step], self.variance[step]


def _counts_of_bucket(
    truth: Truth, log: Log, moments: np.ndarray, shift: int, bucket: int
) -> tuple[np.ndarray, None]:
    """Impressions, expected likes and likes by the moment they come before, (3, n, n_posts)."""
    rows = log.bucket(bucket)
    step = np.searchsorted(moments, rows.at, side="right")
    place = step * truth.n_posts + rows.post
    known = truth.known_logit(rows.user, rows.post, rows.at.astype(np.int64) + shift)
    weights = (None, _mean_probability(known, _user_variance(truth)[rows.post]), rows.liked)
    shape = (len(moments) + 1, truth.n_posts)
    counts = [np.bincount(place, weight, shape[0] * shape[1]).reshape(shape) for weight in weights]
    return np.stack(counts), None


@dataclass(frozen=True)
class UserTaste:
    """Posterior of one user's own like rate, tastes for clusters, and latent factors, in logits.

    Attributes:
        mean: shape (1 + N_CLUSTERS + N_FACTORS,).
        covariance: shape (that, that).
    """

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def learn(cls, truth: Truth, rows: Impressions, quality: np.ndarray, shift: int) -> UserTaste:
        """From one user's own impressions, by the Laplace approximation of a logistic model."""
        known = truth.known_logit(rows.user, rows.post, rows.at.astype(np.int64) + shift)
        known = known + quality[rows.post]
        precision = 1 / np.maximum(_user_spreads(truth), TINY) ** 2
        design, prior_mean = _design(truth, rows.post), np.zeros(len(precision))
        fit = fit_logistic(design, rows.liked, prior_mean, precision, known)
        return cls(fit.weights, np.linalg.inv(fit.curvature))

    def of_posts(self, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the user's own logits for posts of a `_design`, shape (n,)."""
        return design @ self.mean, np.einsum("ij,ij->i", design @ self.covariance, design)


def _histories(
    rows: Impressions, users: np.ndarray, at: np.ndarray, requests: np.ndarray
) -> Iterator[tuple[int, Impressions]]:
    """Each of the requests, with its user's impressions of a bucket strictly before it."""
    rows = rows[np.isin(rows.user, users[requests])]
    rows = rows[np.argsort(rows.user, kind="stable")]
    for request in requests.tolist():
        start, end = np.searchsorted(rows.user, [users[request], users[request] + 1])
        yield request, rows[int(start) : int(end)].before(int(at[request]))


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
    """Mean of expit(x) for a normal x (MacKay's approximation, 1992)."""
    return np.asarray(expit(mean / np.sqrt(1 + np.pi * variance / 8)))


def _design(truth: Truth, posts: np.ndarray) -> np.ndarray:
    clusters = truth.cluster[posts][:, None] == np.arange(N_CLUSTERS)
    return np.hstack([np.ones((len(posts), 1)), clusters, truth.post_factors[posts]])


def _user_spreads(truth: Truth) -> np.ndarray:
    e, n_factors = truth.effects, truth.post_factors.shape[1]
    return np.concatenate([[e.like_rate], [e.taste] * N_CLUSTERS, [e.factors] * n_factors])


def _user_variance(truth: Truth) -> np.ndarray:
    """Variance over users of their own logits for each post, shape (n_posts,)."""
    return np.asarray(_design(truth, np.arange(truth.n_posts)) ** 2 @ _user_spreads(truth) ** 2)
