"""Does what is shown follow a score of users and posts: what they saw, liked, or would like?

A score is summed over what users are shown, and held against what random draws by the segment's
shares of posts in the same period would give. The sum is linear in these shares, so they need no
shrinking, and under random draws its excess has mean 0 however few the rows are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.feature_store import FeatureStore
from feedrank.state.users import UserState, UserTables, user_tables
from feedrank.validation.feed.sample import Viewed

USERS_AT_ONCE = 256
MOST_PERIODS = 6  # that pairs of impressions are looked for in
ROUNDING = 1e-6  # of squares, which are of single precision


@dataclass(frozen=True)
class Drawn:
    """A period's impressions, and how random draws would give them.

    Attributes:
        viewed: impressions of the users that are looked at.
        shown: impressions of each of these, shape (n_users,).
        share: of each post in what the segment is shown, shape (n_segments, n_posts).
        total: impressions of each segment, those of all others too, shape (n_segments,).
    """

    viewed: Viewed
    shown: np.ndarray
    share: np.ndarray
    total: np.ndarray

    @classmethod
    def of(
        cls, viewed: Viewed, n_users: int, by_post: StepCounts, n_segments: int, steps: range
    ) -> Drawn:
        """Of the steps of a range."""
        counts = by_post.before(steps.stop, steps.start).shown.reshape(n_segments, -1)
        total = counts.sum(1)
        now = viewed[(viewed.step >= steps.start) & (viewed.step < steps.stop)]
        shown = np.bincount(now.place, minlength=n_users)
        return cls(now, shown, counts / np.maximum(total, 1)[:, None], total)


@dataclass(frozen=True)
class Score:
    """Sums of a score over what is shown.

    Attributes:
        observed: sum.
        expected: of it under random draws.
        variance: of it under random draws.
        n: impressions.
    """

    observed: float = 0.0
    expected: float = 0.0
    variance: float = 0.0
    n: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.observed + other.observed,
            self.expected + other.expected,
            self.variance + other.variance,
            self.n + other.n,
        )


def periods_of(since: int, until: int) -> list[range]:
    """The steps [since, until), and periods of the same length before, the earliest first."""
    length = until - since
    firsts = [since - back * length for back in reversed(range(MOST_PERIODS))]
    return [range(first, first + length) for first in firsts if first > 0]


def again(
    store: FeatureStore, viewed: Viewed, n_users: int, periods: list[range]
) -> tuple[Score, Score]:
    """Posts that users liked before the period, and those that they only saw before it.

    The score is how often: pairs of an earlier impression and one of the period.
    """
    e, by_post = store.fitted, store.shared.by_post
    pair, of = np.unique(viewed.place * e.n_posts + viewed.post, return_inverse=True)
    place, post = pair // e.n_posts, pair % e.n_posts
    segment = np.zeros(n_users, np.int64)
    segment[viewed.place] = viewed.segment
    found = [Score(), Score()]
    for steps in periods:
        drawn = Drawn.of(viewed, n_users, by_post, e.n_segments, steps)
        is_now = (viewed.step >= steps.start) & (viewed.step < steps.stop)
        now = np.bincount(of[is_now], minlength=len(pair))
        earlier = viewed.step < steps.start
        for kind, which in enumerate((viewed.liked, ~viewed.liked)):
            score = np.bincount(of[earlier & which], minlength=len(pair)).astype(float)
            some = np.flatnonzero(score)
            found[kind] += _of_pairs(
                drawn, segment[place[some]], place[some], post[some], score[some], now[some]
            )
    return found[0], found[1]


def _of_pairs(
    drawn: Drawn,
    segment: np.ndarray,
    place: np.ndarray,
    post: np.ndarray,
    score: np.ndarray,
    now: np.ndarray,
) -> Score:
    cell, shown = segment * drawn.share.shape[1] + post, drawn.shown[place]
    weight = drawn.share.ravel()[cell] * score
    hoped = shown * weight
    mean = np.bincount(place, weight, len(drawn.shown))
    summed = np.bincount(cell, shown * score, drawn.share.size).reshape(drawn.share.shape)
    variance = _variance(drawn, np.sum(hoped * score), mean, summed)
    return Score(float(np.sum(score * now)), float(hoped.sum()), variance, len(drawn.viewed))


def tastes(store: FeatureStore, viewed: Viewed, users: np.ndarray, since: int, until: int) -> Score:
    """By how much more than their segment users like posts, as the model knew before a step.

    The score is the sum of the log ratios of a user: of clusters, topics and factors.
    """
    e = store.fitted
    drawn = Drawn.of(viewed, len(users), store.shared.by_post, e.n_segments,
                     range(since, until))  # fmt: skip
    codes = np.asarray(store.catalogue.codes)[users]
    segment = e.segment(codes)
    mean, summed = np.zeros(len(users)), np.zeros_like(drawn.share)
    observed = squares = 0.0
    edges = np.searchsorted(drawn.viewed.place, np.arange(len(users) + 1))
    for first, liking in _likings(store, viewed, codes, since):
        some = slice(first, first + len(liking))
        share, shown = drawn.share[segment[some]], drawn.shown[some]
        rows = drawn.viewed[np.arange(edges[first], edges[first + len(liking)])]
        observed += float(liking[rows.place - first, rows.post].sum())
        hoped = share * liking
        mean[some] = hoped.sum(1)
        squares += float(shown @ (hoped * liking).sum(1))
        summed += (np.eye(e.n_segments)[segment[some]] * shown[:, None]).T @ liking
    variance = _variance(drawn, squares, mean, summed)
    return Score(observed, float(drawn.shown @ mean), variance, len(drawn.viewed))


def _likings(
    store: FeatureStore, viewed: Viewed, codes: np.ndarray, since: int
) -> Iterator[tuple[int, np.ndarray]]:
    """The log ratios of a few users at a time: the first one's place, (n_users, n_posts)."""
    e, refit = store.fitted, store.fitted.refit(since)
    past = viewed[viewed.step < since]
    pairs = PairCounts(past.place, past.post, past.step, past.liked, e.n_posts)
    state = UserState(e, refit, codes, pairs)
    state.update(past.place, past.post, past.liked)
    shared = store.states.as_of(since)
    for first in range(0, len(codes), USERS_AT_ONCE):
        some = np.arange(first, min(first + USERS_AT_ONCE, len(codes)))
        tables: UserTables = user_tables(state, shared, some)
        own = tables.cluster[:, refit.clusters.cluster] + tables.topic[:, e.topic]
        yield first, own + tables.factors @ refit.factors.post.T


def _variance(drawn: Drawn, squares: float, mean: np.ndarray, summed: np.ndarray) -> float:
    """Of a sum of scores less what the shares give, the shares being of the same draws.

    Args:
        drawn: the draws.
        squares: of scores, summed over expected impressions.
        mean: expected score of an impression of each user, shape (n_users,).
        summed: scores summed over all users' impressions, shape (n_segments, n_posts).
    """
    usual = summed / np.maximum(drawn.total, 1)[:, None]
    by_segment = (drawn.share * usual**2).sum(1) - (drawn.share * usual).sum(1) ** 2
    spread = squares - np.sum(drawn.shown * mean**2) - np.sum(drawn.total * by_segment)
    return float(spread) if spread > ROUNDING * squares else 0.0
