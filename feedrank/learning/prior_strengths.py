"""Prior weights of everything that is shrunk, from what the clusters leave unexplained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from feedrank.state.clusters import PostClusters, dispersion_of, post_state
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally
from feedrank.state.fitted import Strengths, WarmupParameters
from feedrank.state.shared import column_evidence, rates_within
from feedrank.stats.correspondence import TINY
from feedrank.stats.shrinkage import STRONGEST, fit_strength

WHOLE = 0.999  # of a total
MOST_UNITS = 200_000  # users' cells that a strength is fitted on, more of them say nothing new


@dataclass(frozen=True)
class RefitCounts:
    """What is counted by the clusters of one refit.

    Attributes:
        by_column: as in `SharedCounts`.
        by_cluster: of the users of `asked_of` before the refit, shape (n, n_clusters).
        by_topic: of the same before the refit, shape (n, n_topics).
    """

    by_column: StepCounts
    by_cluster: Tally
    by_topic: Tally


def asked_of(n_users: int, n_clusters: int) -> np.ndarray:
    """Users whose counts strengths are fitted on, spread evenly, shape (n,)."""
    return np.arange(0, n_users, max(1, -(-n_users * n_clusters // MOST_UNITS)))


def fit_strengths(
    fixed: WarmupParameters,
    step: int,
    clusters: PostClusters,
    codes: np.ndarray,
    by_post: StepCounts,
    found: RefitCounts,
) -> Strengths:
    """Prior strengths of a refit, from everything before it.

    Args:
        fixed: what the warm-up days fitted.
        step: the first of the refit.
        clusters: of the refit.
        codes: profile codes, shape (n_users, n_columns).
        by_post: counts over time, key (segment, post).
        found: what was counted before the refit.
    """
    shape = (fixed.n_segments, fixed.n_posts)
    n_clusters = clusters.rate.shape[1]
    counts = by_post.before(step).reshape(*shape)
    former = by_post.before(step // 2).reshape(*shape)
    cluster_rate = rates_within(clusters.cluster, n_clusters, counts)
    topic_rate = rates_within(fixed.topic, fixed.n_topics, counts)
    segment = fixed.segment(codes[asked_of(len(codes), n_clusters)])
    cluster, topic = found.by_cluster, found.by_topic
    expected = cluster.shown * cluster_rate[segment]
    posts = post_state(clusters, counts)
    return Strengths(
        user=fit_strength(cluster.liked.sum(1), cluster.shown.sum(1), expected.sum(1)),
        user_cluster=clusters.tastes or _given_total(cluster, expected),
        user_topic=_given_total(topic, topic.shown * topic_rate[segment]),
        segment_post=_given_total(
            Tally(counts.shown.T, counts.liked.T), (counts.shown * posts.rate).T
        ),
        trend=_trend(former, counts, posts.rate),
        columns=_columns(fixed, found.by_column.before(step), cluster_rate),
    )


def _given_total(counts: Tally, expected: np.ndarray) -> float:
    """Strength of how a unit's likes are spread over its cells, its total apart.

    Were likes rare, they would be multinomial given their total; since an impression is liked once
    at most they scatter less, by one less the like rate, and all counts are divided by that.

    Args:
        counts: shape (n, n_cells); a single cell cannot differ from its total.
        expected: likes of each cell up to a factor of each unit, same shape.
    """
    dispersion = dispersion_of(counts)
    total = counts.liked.sum(1, keepdims=True) / dispersion
    share = expected / np.maximum(expected.sum(1, keepdims=True), TINY)
    trials = np.where((expected > 0) & (share < WHOLE), total, 0)  # in one cell, it tells nothing
    if expected.shape[1] == 1:
        return STRONGEST
    return float(dispersion * fit_strength(counts.liked / dispersion, trials, total * share))


def _trend(former: Tally, counts: Tally, rate: np.ndarray) -> float:
    """How far a post's likes of the two halves stray from those that both let expect."""
    halves = (former, Tally(counts.shown - former.shown, counts.liked - former.liked))
    of_halves = Tally(
        np.stack([half.shown.sum(0) for half in halves], axis=1),
        np.stack([half.liked.sum(0) for half in halves], axis=1),
    )
    early = (former.shown * rate).sum(0)
    expected = np.stack([early, (counts.shown * rate).sum(0) - early], axis=1)
    level = of_halves.liked.sum(0) / np.maximum(expected.sum(0), TINY)
    return _given_total(of_halves, expected * level)


def _columns(
    fixed: WarmupParameters, by_column: Tally, cluster_rate: np.ndarray
) -> tuple[float, ...]:
    liked, expected = column_evidence(fixed, by_column, cluster_rate)
    shown = by_column.shown.reshape(-1, *cluster_rate.shape).sum(1)
    return tuple(
        _given_total(Tally(shown[low:high], liked[low:high]), expected[low:high])
        for low, high in pairwise(fixed.column_offsets)
    )
