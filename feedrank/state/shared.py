"""Shared state: posts, clusters and profiles as of a step, the same for all users."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.cumulative import RunningCounts
from feedrank.state.counts.tally import Tally
from feedrank.state.fitted import FittedParameters
from feedrank.state.posts.clusters import EVERY
from feedrank.state.posts.tables import post_tables
from feedrank.state.rates import StepRates

# At most, and bytes of all that are kept, of which there are always a few: of 7,023 posts a state
# takes 3 MB with what the first stage keeps of it, of 70,000 and of 700,000 ten and 100 times that.
KEPT_STATES, FEWEST_KEPT, KEPT_BYTES = 128, 4, 3 << 30
POST_BYTES, CELL_BYTES = 170, 20  # of a post, and of a segment and a post
# Half-lives of further recent counts, in steps, beside `features.half_life_days`: with steps of an
# hour, the last hour, quarter of a day and day. Measured: docs/ranking-results.md.
WINDOWS = (1, 6, 24)
MOST_SETTLED = 4  # states that are derived again at once; requests derive others
FEWEST_SHOWN = 100  # posts, the service's longest list: with fewer, every post is a candidate


@dataclass(frozen=True, eq=False)
class SharedState(StepRates):
    """Rates and tables as of one step, float32 unless said otherwise.

    Steps before `segments_since` have one segment.

    Attributes:
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
        by_key: counts of plugins by name, int64, shape (n_keys,) each.
    """

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
        self, fitted: FittedParameters, counts: SharedCounts, keep: int | None = None
    ) -> None:
        self.fitted, self.counts = fitted, counts
        self.keep = _n_kept(fitted) if keep is None else keep
        half_lives = (fitted.half_life_steps, *WINDOWS)
        self._by_post = RunningCounts(counts.by_post, fitted.n_posts, *half_lives)
        self._others = [RunningCounts(c, c.n_keys) for c in (*counts.by_column, *counts.by_key)]
        self._first_step = counts.by_post.first_steps().reshape(fitted.n_segments, -1).min(0)
        self._kept: OrderedDict[int, SharedState] = OrderedDict()
        self._rates: dict[int, StepRates] = {}
        self._unsettled: Mapping[int, SharedState] = {}
        self._shown: tuple[int, np.ndarray, np.ndarray] | None = None

    def followed_by(
        self, fitted: FittedParameters, counts: SharedCounts, since: int, log: int, settles: bool
    ) -> SharedHistory:
        """States after rows of the steps from `since` on, of a log of `log` steps that is followed.

        Unless there are new posts, states of earlier steps are carried over, and those of others
        until `settle`, if it `settles`.
        """
        new = SharedHistory(fitted, counts, self.keep)
        new._by_post = self._by_post.followed_by(counts.by_post, since, fitted.n_segments, log)
        others = zip(self._others, (*counts.by_column, *counts.by_key))
        new._others = [running.followed_by(c, since, 1, log) for running, c in others]
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

    def of_posts(self, step: int, posts: np.ndarray) -> SharedState:
        """As `as_of`, of some posts in a fraction of the time where not all steps can be kept.

        Args:
            step: within the log.
            posts: rows; float32 tables hold NaN for others. Plugins may read others, so for these
                all are derived.
        """
        if self.counts.n_steps < self.keep or self.fitted.plugins.modules:
            return self.as_of(step)
        if step not in self._rates:
            self._rates[step] = self._rates_of(step)
        tables: dict[str, Any] = {}
        for name, table in self._tables(self._rates[step], posts).items():
            tables[name] = np.full((*table.shape[:-1], self.fitted.n_posts), np.nan, np.float32)
            tables[name][..., posts] = table
        return self._state(self._rates[step], tables, {})

    def counts_as_of(self, step: int) -> Tally:
        """Impressions and likes strictly before a step, int64, shape (n_segments, n_posts).

        By the segments that the step knows of.
        """
        step = self._within(step)
        return self.fitted.by_segment(self._by_post.before(step).counts, step)

    def candidates_among(self, post: np.ndarray, step: int, k: int) -> np.ndarray:
        """Those of some posts that the feed showed before a step, or that are newer than the log.

        All, if these are fewer than `k` or `FEWEST_SHOWN`. Why: docs/ranking.md, *Candidates*.
        """
        _, is_shown, shown = self._shown_before(self._within(step))
        kept = shown if len(post) == len(is_shown) else post[is_shown[post]]
        return kept if len(kept) >= max(k, FEWEST_SHOWN) else post

    def _shown_before(self, step: int) -> tuple[int, np.ndarray, np.ndarray]:
        """The step, whether each post was shown before it, and those that were; kept of the last.

        Requests of one step have the same.
        """
        found = self._shown
        if found is None or found[0] != step:
            is_shown = self._first_step < step
            is_shown[self.fitted.n_fitted_posts :] = True
            shown = np.flatnonzero(is_shown)
            shown.setflags(write=False)
            self._shown = found = (step, is_shown, shown)
        return found

    def _within(self, step: int) -> int:
        return min(max(step, 0), self.counts.n_steps)

    def _derive(self, step: int) -> SharedState:
        rates = self._rates_of(step)
        own = zip(self.fitted.plugins.counts, self._others[len(self.counts.by_column) :])
        by_key = {name: count.before(step).counts for name, count in own}
        return self._state(rates, self._tables(rates, EVERY), by_key)

    def _state(
        self, rates: StepRates, tables: dict[str, Any], by_key: Mapping[str, Tally]
    ) -> SharedState:
        n_shown = self._posts_before(rates.step)[0].shown.sum(0)
        return SharedState(**vars(rates), **tables, n_shown=n_shown, by_key=by_key)

    def _rates_of(self, step: int) -> StepRates:
        counts, recent = self._posts_before(step)
        by_column = self._others[self.fitted.refit_number(step)].before(step).counts
        return StepRates.of(self.fitted, step, counts, recent, by_column)

    def _tables(self, rates: StepRates, posts: np.ndarray | slice) -> dict[str, Any]:
        counts, recent = self._posts_before(rates.step)
        return post_tables(rates, counts, recent, self._first_step, posts)

    def _posts_before(self, step: int) -> tuple[Tally, np.ndarray]:
        found = self._by_post.before(step)
        return self.fitted.by_segment(found.counts, step), found.recent


def _n_kept(fitted: FittedParameters) -> int:
    size = fitted.n_posts * (POST_BYTES + CELL_BYTES * fitted.n_segments)
    return min(max(KEPT_BYTES // size, FEWEST_KEPT), KEPT_STATES)
