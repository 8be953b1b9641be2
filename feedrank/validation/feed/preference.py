"""Preference of the feed: do the posts shown follow what users were shown, liked or would like?

A score of users and posts is summed over the impressions and held against its expectation under
random draws by the stratum's shares of posts in the same period. The sum is linear in these shares,
so they need no shrinkage, and its excess has mean 0 under a random feed, however few the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_user import PairCounts
from feedrank.state.feature_store import FeatureStore
from feedrank.state.history import InteractionSample
from feedrank.state.users import UserState, user_tables
from feedrank.validation.feed.excess import Excess

# Bounds of memory: 14 MB of scores. Other ones move sums in their last bits.
USERS_AT_ONCE, PAIRS_AT_ONCE = 256, 2_000_000
MOST_PERIODS = 6  # of the test's length, for pairs of impressions: six weeks for a week
ROUNDING = 1e-6  # variances below it, relative to their terms, are rounding: scores are float32


@dataclass(frozen=True)
class Period:
    """A period's impressions, and the draws that they are held against.

    Attributes:
        sample: impressions of some users.
        shown: impressions of each of these, shape (n_users,).
        share: of each post in the impressions of a stratum, shape (n_strata, n_posts).
        total: impressions of each stratum, shape (n_strata,).
    """

    sample: InteractionSample
    shown: np.ndarray
    share: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, sample: InteractionSample, n_posts: int, steps: range) -> Period:
        """Of the steps of a range."""
        now = sample[(sample.step >= steps.start) & (sample.step < steps.stop)]
        n_strata = int(sample.segment.max()) + 1
        key = sample.segment[now.user] * n_posts + now.post
        counts = np.bincount(key, minlength=n_strata * n_posts).reshape(n_strata, n_posts)
        total = counts.sum(1)
        shown = np.bincount(now.user, minlength=now.n_users)
        return cls(now, shown, counts / np.maximum(total, 1)[:, None], total)


def periods_of(steps: range) -> list[range]:
    """Steps, and as many in each of the periods before, the earliest first."""
    length = len(steps)
    firsts = [steps.start - back * length for back in reversed(range(MOST_PERIODS))]
    return [range(first, first + length) for first in firsts if first > 0]


def again(sample: InteractionSample, n_posts: int, periods: list[range]) -> tuple[Excess, Excess]:
    """Pairs of impressions of the same user and post, one before a period, the other in it.

    Args:
        sample: impressions of some users up to the end of the last period.
        n_posts: of the catalogue.
        periods: of steps.

    Returns:
        Of posts that were liked in the earlier impression, and of the others.
    """
    key, of = np.unique(sample.user.astype(np.int64) * n_posts + sample.post, return_inverse=True)
    user, post = key // n_posts, key % n_posts
    found = [Excess(), Excess()]
    for steps in periods:
        period = Period.of(sample, n_posts, steps)
        is_now = (sample.step >= steps.start) & (sample.step < steps.stop)
        now = np.bincount(of[is_now], minlength=len(key))
        earlier = sample.step < steps.start
        for kind, which in enumerate((sample.liked, ~sample.liked)):
            score = np.bincount(of[earlier & which], minlength=len(key)).astype(float)
            some = np.flatnonzero(score)
            found[kind] += _of_pairs(period, user[some], post[some], score[some], now[some])
    return found[0], found[1]


def _of_pairs(
    period: Period, user: np.ndarray, post: np.ndarray, score: np.ndarray, now: np.ndarray
) -> Excess:
    """Excess of a score of users and posts; `now` counts their impressions in the period."""
    cell = period.sample.segment[user] * period.share.shape[1] + post
    shown = period.shown[user]
    weight = period.share.ravel()[cell] * score
    expected = shown * weight
    mean = np.bincount(user, weight, len(period.shown))
    summed = np.bincount(cell, shown * score, period.share.size).reshape(period.share.shape)
    variance = _variance(period, np.sum(expected * score), mean, summed)
    beyond = float(np.sum(score * now)) - float(expected.sum())
    return Excess(beyond, float(expected.sum()), variance, len(period.sample))


def tastes(store: FeatureStore, sample: InteractionSample, steps: range) -> Excess:
    """Log ratios of the users' tastes for the posts shown, as of the first step of a range.

    A log ratio is by how much more than the segment a user likes a post: the sum of those of its
    cluster, its topic and the latent factors.
    """
    period = Period.of(sample, store.fitted.n_posts, steps)
    n_strata = len(period.total)
    mean, summed = np.zeros(sample.n_users), np.zeros_like(period.share)
    observed = squares = 0.0
    edges = np.searchsorted(period.sample.user, np.arange(sample.n_users + 1))
    for first, taste in _tastes(store, sample, steps.start):
        some = slice(first, first + len(taste))
        stratum, shown = sample.segment[some], period.shown[some]
        rows = period.sample[np.arange(edges[first], edges[first + len(taste)])]
        observed += float(taste[rows.user - first, rows.post].sum())
        expected = period.share[stratum] * taste
        mean[some] = expected.sum(1)
        squares += float(shown @ (expected * taste).sum(1))
        summed += (np.eye(n_strata)[stratum] * shown[:, None]).T @ taste
    variance = _variance(period, squares, mean, summed)
    in_all = float(period.shown @ mean)
    return Excess(observed - in_all, in_all, variance, len(period.sample))


def _tastes(
    store: FeatureStore, sample: InteractionSample, since: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Log ratios of a few users at a time: place of the first one, (n_users, n_posts)."""
    fitted, refit = store.fitted, store.fitted.refit(since)
    codes = np.asarray(store.catalogue.codes)[sample.users]
    past = sample[sample.step < since]
    pairs = PairCounts(past.user, past.post, past.step, past.liked, fitted.n_posts)
    state = UserState(fitted, refit, codes, pairs)
    state.update(past.user, past.post, past.liked)
    shared = store.states.as_of(since)
    at_once = max(1, min(USERS_AT_ONCE, PAIRS_AT_ONCE // fitted.n_posts))
    for first in range(0, len(codes), at_once):
        some = np.arange(first, min(first + at_once, len(codes)))
        tables = user_tables(state, shared, some)
        own = tables.cluster[:, refit.clusters.cluster] + tables.topic[:, fitted.topic]
        yield first, own + tables.factors @ refit.factors.post.T


def _variance(period: Period, squares: float, mean: np.ndarray, summed: np.ndarray) -> float:
    """Variance of a sum of scores less its expectation, whose shares are of the same draws.

    Args:
        period: the draws.
        squares: of scores, summed over expected impressions.
        mean: expected score of an impression of each user, shape (n_users,).
        summed: scores summed over all users' impressions, shape (n_strata, n_posts).
    """
    average = summed / np.maximum(period.total, 1)[:, None]
    by_segment = (period.share * average**2).sum(1) - (period.share * average).sum(1) ** 2
    variance = squares - np.sum(period.shown * mean**2) - np.sum(period.total * by_segment)
    return float(variance) if variance > ROUNDING * squares else 0.0
