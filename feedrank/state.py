"""What was known of posts and profiles as of a step: shared by all users."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from feedrank.counts import StepCounts, Tally
from feedrank.encodings import Encodings, Era
from feedrank.posts import RATE_PRIOR, post_state
from feedrank.priors import log_ratio, ratio
from feedrank.running import RunningCounts

Table = np.ndarray


@dataclass(frozen=True)
class SharedState:
    """Tables as of one step, float32 unless said otherwise.

    Attributes:
        step: rows of this step or later are not in it.
        era: that the step belongs to.
        cluster_rate: like rate, float64, shape (n_segments, n_groups).
        topic_rate: like rate, float64, shape (n_segments, n_topics).
        post_logit: log-odds of liking with quality, shape (n_segments, n_posts).
        group_logit: log-odds of liking without quality, shape (n_segments, n_posts).
        segment_post: log ratio of a post's likes in a segment over `post_logit`, same shape.
        quality: log, shape (n_posts,).
        trend: log ratio of recent likes over lifetime, shape (n_posts,).
        age_days: since first shown, NaN if never, shape (n_posts,).
        exposure: log ratio of impressions over an average post's, shape (n_posts,).
        recent_exposure: the same of recent impressions, shape (n_posts,).
        columns: log ratio by profile code (end to end) and group, shape (n_codes, n_groups).
        level: log ratio of the recent like rate over lifetime.
    """

    step: int
    era: Era
    cluster_rate: Table
    topic_rate: Table
    post_logit: Table
    group_logit: Table
    segment_post: Table
    quality: Table
    trend: Table
    age_days: Table
    exposure: Table
    recent_exposure: Table
    columns: Table
    level: float


@dataclass(frozen=True)
class SharedCounts:
    """The shared counts over time.

    Attributes:
        by_post: key (segment, post).
        by_column: key (profile code end to end, segment, group); one for each era, whose groups
            it goes by, with all that was before the era as if it were of the step before it.
    """

    by_post: StepCounts
    by_column: tuple[StepCounts, ...]

    @property
    def n_steps(self) -> int:
        """Steps from the log's origin to its end."""
        return self.by_post.n_steps

    def first_steps(self, n_segments: int) -> np.ndarray:
        """The step at which each post was first shown, shape (n_posts,)."""
        return self.by_post.first_steps().reshape(n_segments, -1).min(0)


class SharedHistory:
    """Shared states by step, the most recently used kept."""

    def __init__(self, encodings: Encodings, counts: SharedCounts, keep: int = 128) -> None:
        self.encodings = encodings
        self.counts = counts
        self._by_post = RunningCounts(counts.by_post, encodings.half_life_steps)
        self._first_step = counts.first_steps(encodings.n_segments)
        self._kept: OrderedDict[int, SharedState] = OrderedDict()
        self._keep = keep

    def as_of(self, step: int) -> SharedState:
        """What was known strictly before a step; steps outside the log are drawn to its ends."""
        step = self._within(step)
        state = self._kept.pop(step, None)
        if state is None:
            state = self._derive(step)
        self._kept[step] = state
        if len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return state

    def counts_as_of(self, step: int) -> Tally:
        """Impressions and likes strictly before a step, int64, shape (n_segments, n_posts)."""
        counts = self._by_post.before(self._within(step)).counts
        return counts.reshape(self.encodings.n_segments, self.encodings.n_posts)

    def _within(self, step: int) -> int:
        return min(max(step, 0), self.counts.n_steps)

    def _derive(self, step: int) -> SharedState:
        enc, era = self.encodings, self.encodings.era(step)
        shape = (enc.n_segments, enc.n_posts)
        found = self._by_post.before(step)
        counts, recent = found.counts.reshape(*shape), found.recent.reshape(*shape)
        posts = post_state(era.groups, counts)
        n_shown, n_recent = counts.shown.sum(0), recent.shown.sum(0)
        lifetime_rate = (posts.rate * counts.shown).sum(0) / np.maximum(n_shown, 1)
        days_a_step = enc.step_seconds / 86_400
        age = np.where(self._first_step < step, (step - self._first_step) * days_a_step, np.nan)
        cluster_rate = group_rates(era.groups.cluster, enc.n_groups, counts)
        return SharedState(
            step=step,
            era=era,
            cluster_rate=cluster_rate,
            topic_rate=group_rates(enc.topic, enc.n_topics, counts),
            post_logit=_logit(posts.rate),
            group_logit=_logit(posts.base),
            segment_post=log_ratio(
                counts.liked, counts.shown * posts.rate, era.strengths.segment_post
            ),
            quality=np.log(posts.quality).astype(np.float32),
            trend=log_ratio(recent.liked.sum(0), n_recent * lifetime_rate, era.strengths.trend),
            age_days=age.astype(np.float32),
            exposure=_share(n_shown),
            recent_exposure=_share(n_recent),
            columns=self._columns(step, cluster_rate),
            level=_level(counts, recent),
        )

    def _columns(self, step: int, cluster_rate: np.ndarray) -> np.ndarray:
        """Each profile code's likes of a group over what its segments let expect."""
        enc = self.encodings
        counts = self.counts.by_column[enc.era_number(step)].before(step)
        liked, expected = column_evidence(enc, counts, cluster_rate)
        strength = np.repeat(enc.era(step).strengths.columns, enc.column_codes)
        overall = ratio(liked.sum(1), expected.sum(1), strength)[:, None]
        return np.log(overall * ratio(liked, expected * overall, strength[:, None])).astype(
            np.float32
        )


def group_rates(group: np.ndarray, n_groups: int, counts: Tally) -> np.ndarray:
    """Like rate by segment and group of posts, shape (n_segments, n_groups).

    Args:
        group: of each post, shape (n_posts,).
        n_groups: number of groups.
        counts: shape (n_segments, n_posts).
    """
    member = np.eye(n_groups)[group]
    rate = (counts.liked.sum(1) + 1) / (counts.shown.sum(1) + 10)
    liked, shown = counts.liked @ member, counts.shown @ member
    return (liked + RATE_PRIOR * rate[:, None]) / (shown + RATE_PRIOR)


def column_evidence(
    encodings: Encodings, by_column: Tally, cluster_rate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Likes and expected likes by profile code (end to end) and group, (n_codes, n_groups)."""
    counts = by_column.reshape(-1, encodings.n_segments, encodings.n_groups)
    return counts.liked.sum(1), (counts.shown * cluster_rate).sum(1)


def _logit(rate: np.ndarray) -> np.ndarray:
    rate = np.clip(rate, 1e-5, 1 - 1e-5)
    return np.log(rate / (1 - rate)).astype(np.float32)


def _share(shown: np.ndarray) -> np.ndarray:
    return np.log((shown + 1) / (shown.mean() + 1)).astype(np.float32)


def _level(counts: Tally, recent: Tally) -> float:
    lifetime = (counts.liked.sum() + 1) / (counts.shown.sum() + 10)
    return float(
        np.log((recent.liked.sum() + 50 * lifetime) / (recent.shown.sum() + 50) / lifetime)
    )
