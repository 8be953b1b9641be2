"""Shared state: posts, clusters and profiles as of a step, the same for all users."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Mapping

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.cumulative import RunningCounts
from feedrank.state.counts.tally import Tally
from feedrank.state.fitted import FittedParameters, Refit
from feedrank.state.posts.clusters import post_state, shrunk_rate
from feedrank.stats.shrinkage import as_feature, base_rate, log_ratio, ratio

KEPT_STATES = 128  # 1.5 MB each at full size; the reference log has 90 days
# Prior strength of the recent like rate of all posts, in impressions: the same number for all
# posts, so that the first stage's order does not depend on it.
LEVEL_PRIOR = 50.0
# Half-lives of further recent counts, in steps, beside `features.half_life_days`: with steps of an
# hour, the last hour, quarter of a day and day. Measured on a news log: docs/ranking.md.
WINDOWS = (1, 6, 24)
MOST_SETTLED = 4  # states that are derived again at once; requests derive others
FEWEST_SHOWN = 100  # posts, the service's longest list: with fewer, every post is a candidate
LEAST_RATE = 1e-5  # rates are clipped this far from 0 and 1, as log-odds need


@dataclass(frozen=True, eq=False)
class SharedState:
    """Tables as of one step, float32 unless said otherwise.

    Attributes:
        step: rows of this step or later do not count.
        refit: that the step belongs to.
        cluster_rate: like rate, float64, shape (n_segments, n_clusters).
        topic_rate: like rate, float64, shape (n_segments, n_topics).
        post_logit: log-odds of liking with quality, shape (n_segments, n_posts).
        cluster_logit: log-odds of liking without quality, shape (n_segments, n_posts).
        segment_post: log ratio of a post's likes in a segment over `post_logit`, same shape.
        membership: probability of each cluster, shape (n_clusters, n_posts).
        quality: log, shape (n_posts,).
        trend: log ratio of recent likes over lifetime, shape (n_posts,).
        n_shown: impressions, int64, shape (n_posts,).
        log_age: log1p of the steps since first shown, 0 if never, shape (n_posts,).
        impression_count: log ratio of impressions over an average post's, shape (n_posts,).
        recent_impression_count: the same of recent impressions, shape (n_posts,).
        window_impressions: log1p of impressions by window, shape (len(WINDOWS), n_posts).
        window_likes: the same of likes.
        window_trend: as `trend`, of each window's likes, same shape.
        columns: log ratio by profile code (end to end) and cluster, shape (n_codes, n_clusters).
        level: log ratio of the recent like rate over lifetime, one number.
        by_key: counts of plugins by name, int64, shape (n_keys,) each.
    """

    step: int
    refit: Refit
    cluster_rate: np.ndarray
    topic_rate: np.ndarray
    post_logit: np.ndarray
    cluster_logit: np.ndarray
    segment_post: np.ndarray
    membership: np.ndarray
    quality: np.ndarray
    trend: np.ndarray
    n_shown: np.ndarray
    log_age: np.ndarray
    impression_count: np.ndarray
    recent_impression_count: np.ndarray
    window_impressions: np.ndarray
    window_likes: np.ndarray
    window_trend: np.ndarray
    columns: np.ndarray
    level: float
    by_key: Mapping[str, Tally]


@dataclass(frozen=True)
class SharedCounts:
    """The shared counts over time.

    Attributes:
        by_post: key (segment, post).
        by_column: key (profile code end to end, segment, cluster), one for each refit by its own
            clusters; everything before the refit is counted in the step before it.
        by_key: of each count of the plugins, in order.
    """

    by_post: StepCounts
    by_column: tuple[StepCounts, ...]
    by_key: tuple[StepCounts, ...] = ()

    @property
    def n_steps(self) -> int:
        """Steps from the log's origin to its end."""
        return self.by_post.n_steps


class SharedHistory:
    """Shared states by step, the most recently used kept."""

    def __init__(
        self, fitted: FittedParameters, counts: SharedCounts, keep: int = KEPT_STATES
    ) -> None:
        self.fitted, self.counts, self.keep = fitted, counts, keep
        self._by_post = RunningCounts(counts.by_post, fitted.half_life_steps, *WINDOWS)
        self._first_step = counts.by_post.first_steps().reshape(fitted.n_segments, -1).min(0)
        self._kept: OrderedDict[int, SharedState] = OrderedDict()
        self._unsettled: Mapping[int, SharedState] = {}

    def followed_by(
        self, fitted: FittedParameters, counts: SharedCounts, since: int, log: int, settles: bool
    ) -> SharedHistory:
        """States after rows of the steps from `since` on, of a log of `log` steps that is followed.

        Unless there are new posts, states of earlier steps are carried over, and those of others
        until `settle`, if it `settles`.
        """
        new = SharedHistory(fitted, counts, self.keep)
        new._by_post = self._by_post.followed_by(counts.by_post, since, fitted.n_segments, log)
        if fitted.n_posts == self.fitted.n_posts:
            kept = list(self._kept.items())  # at once: other threads derive states meanwhile
            new._kept.update((step, state) for step, state in kept if step <= since)
            if settles:
                new._unsettled = {**self._unsettled, **{s: x for s, x in kept if s > since}}
        return new

    def settle(self) -> None:
        """Derive the latest states that rows have changed, and forget the other ones."""
        for step in sorted(self._unsettled, reverse=True)[:MOST_SETTLED]:
            self._kept[step] = self._derive(step)
        self._unsettled = {}

    def as_of(self, step: int) -> SharedState:
        """State strictly before a step; steps outside the log are clamped to its ends."""
        step = self._within(step)
        state = self._kept.pop(step, None)
        if state is None:
            if step in (unsettled := self._unsettled):
                return unsettled[step]
            state = self._derive(step)
        self._kept[step] = state
        if len(self._kept) > self.keep:
            self._kept.popitem(last=False)
        return state

    def counts_as_of(self, step: int) -> Tally:
        """Impressions and likes strictly before a step, int64, shape (n_segments, n_posts)."""
        counts = self._by_post.before(self._within(step)).counts
        return counts.reshape(self.fitted.n_segments, self.fitted.n_posts)

    def candidates_among(self, post: np.ndarray, step: int, k: int) -> np.ndarray:
        """Those of some posts that the feed showed before a step, or that are newer than the log.

        All, if these are fewer than `k` or `FEWEST_SHOWN`. Why: docs/ranking.md, *Candidates*.
        """
        is_shown = self._first_step < self._within(step)
        is_shown[self.fitted.n_fitted_posts :] = True
        kept = post[is_shown[post]]
        return kept if len(kept) >= max(k, FEWEST_SHOWN) else post

    def _within(self, step: int) -> int:
        return min(max(step, 0), self.counts.n_steps)

    def _derive(self, step: int) -> SharedState:
        fitted, refit = self.fitted, self.fitted.refit(step)
        shape = (fitted.n_segments, fitted.n_posts)
        found = self._by_post.before(step)
        counts, recent, *windows = (t.reshape(*shape) for t in (found.counts, *found.recent))
        posts = post_state(refit.clusters, counts)
        n_shown, n_recent = counts.shown.sum(0), recent.shown.sum(0)
        lifetime_rate = (posts.rate * counts.shown).sum(0) / np.maximum(n_shown, 1)
        age = np.where(self._first_step < step, step - self._first_step, 0)

        def trend(since: Tally) -> np.ndarray:
            expected = since.shown.sum(0) * lifetime_rate
            return log_ratio(since.liked.sum(0), expected, refit.strengths.trend)

        cluster_rate = rates_within(refit.clusters.cluster, fitted.n_clusters, counts)
        own = zip(fitted.plugins.counts, self.counts.by_key)
        return SharedState(
            step=step,
            refit=refit,
            cluster_rate=cluster_rate,
            topic_rate=rates_within(fitted.topic, fitted.n_topics, counts),
            post_logit=_logit(posts.rate),
            cluster_logit=_logit(posts.base),
            segment_post=log_ratio(
                counts.liked, counts.shown * posts.rate, refit.strengths.segment_post
            ),
            membership=np.ascontiguousarray(posts.membership.T, np.float32),
            quality=as_feature(np.log(posts.quality)),
            trend=trend(recent),
            n_shown=n_shown,
            log_age=as_feature(np.log1p(age)),
            impression_count=_over_average(n_shown),
            recent_impression_count=_over_average(n_recent),
            window_impressions=as_feature(np.log1p([w.shown.sum(0) for w in windows])),
            window_likes=as_feature(np.log1p([w.liked.sum(0) for w in windows])),
            window_trend=np.stack([trend(window) for window in windows]),
            columns=self._columns(step, cluster_rate),
            level=_level(counts, recent),
            by_key={name: count.before(step) for name, count in own},
        )

    def _columns(self, step: int, cluster_rate: np.ndarray) -> np.ndarray:
        """Log ratios of each profile code's likes of a cluster over those of its segments."""
        fitted = self.fitted
        counts = self.counts.by_column[fitted.refit_number(step)].before(step)
        liked, expected = column_evidence(counts, cluster_rate)
        strength = np.repeat(fitted.refit(step).strengths.columns, fitted.column_codes)
        overall = ratio(liked.sum(1), expected.sum(1), strength)[:, None]
        within = ratio(liked, expected * overall, strength[:, None])
        return as_feature(np.log(overall * within))


def rates_within(cluster: np.ndarray, n_clusters: int, counts: Tally) -> np.ndarray:
    """Like rate by segment and cluster of posts, shape (n_segments, n_clusters).

    Args:
        cluster: of each post, shape (n_posts,).
        n_clusters: number of clusters.
        counts: shape (n_segments, n_posts).
    """
    member = np.eye(n_clusters)[cluster]
    prior = base_rate(counts.liked.sum(1), counts.shown.sum(1))[:, None]
    return shrunk_rate(counts.liked @ member, counts.shown @ member, prior)


def column_evidence(by_column: Tally, cluster_rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Likes and expected likes by profile code (end to end) and cluster, (n_codes, n_clusters)."""
    counts = by_column.reshape(-1, *cluster_rate.shape)
    return counts.liked.sum(1), (counts.shown * cluster_rate).sum(1)


def _logit(rate: np.ndarray) -> np.ndarray:
    rate = np.clip(rate, LEAST_RATE, 1 - LEAST_RATE)
    return as_feature(np.log(rate / (1 - rate)))


def _over_average(shown: np.ndarray) -> np.ndarray:
    return as_feature(np.log((shown + 1) / (shown.mean() + 1)))


def _level(counts: Tally, recent: Tally) -> float:
    lifetime = base_rate(counts.liked.sum(), counts.shown.sum())
    liked, shown = recent.liked.sum() + LEVEL_PRIOR * lifetime, recent.shown.sum() + LEVEL_PRIOR
    return float(np.log(liked / shown / lifetime))
