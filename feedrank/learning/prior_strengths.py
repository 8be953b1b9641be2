"""Prior strengths of all that is shrunk, fitted to the likes that clusters leave unexplained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally
from feedrank.state.fitted import WarmupParameters
from feedrank.state.posts.clusters import PostClusters, dispersion_of, post_state
from feedrank.state.posts.refit import Strengths
from feedrank.state.rates import column_evidence, rates_within
from feedrank.stats.correspondence import LEAST_EVENTS
from feedrank.stats.shrinkage import STRONGEST, fit_strength

# A cell that takes more than this share of the expected total cannot differ from the total;
# 0.99 to 0.9999 give the same lists.
WHOLE_SHARE = 0.999
MOST_CELLS = 200_000  # bounds memory: of 12 clusters, 16,000 users are counted


@dataclass(frozen=True)
class RefitCounts:
    """Counts by the clusters of one refit.

    Attributes:
        by_column: as in `SharedCounts`.
        by_cluster: of the users of `sampled_users`, before the refit, shape (n, n_clusters).
        by_topic: of the same, before the refit, shape (n, n_topics).
        by_context: of all users, before the refit, shape (n_contexts, n_topics).
    """

    by_column: StepCounts
    by_cluster: Tally
    by_topic: Tally
    by_context: Tally


def sampled_users(n_users: int, n_clusters: int) -> np.ndarray:
    """Users whose counts strengths are fitted to, rows spread evenly, shape (n,)."""
    return np.arange(0, n_users, max(1, -(-n_users * n_clusters // MOST_CELLS)))


def fit_strengths(
    fixed: WarmupParameters,
    step: int,
    clusters: PostClusters,
    codes: np.ndarray,
    by_post: StepCounts,
    found: RefitCounts,
) -> Strengths:
    """Prior strengths of a refit, from all impressions before it.

    Args:
        fixed: parameters of the warm-up.
        step: the first of the refit.
        clusters: of the refit.
        codes: profile codes, shape (n_users, n_columns).
        by_post: counts over time, key (segment, post).
        found: counts by the clusters of the refit.
    """
    n_clusters = clusters.rate.shape[1]
    counts, previous = (fixed.by_segment(by_post.before(end), step) for end in (step, step // 2))
    cluster_rate = rates_within(clusters.cluster, n_clusters, counts)
    topic_rate = rates_within(fixed.topic, fixed.n_topics, counts)
    segment = fixed.knowing(step).segment(codes[sampled_users(len(codes), n_clusters)])
    cluster, topic = found.by_cluster, found.by_topic
    expected = cluster.shown * cluster_rate[segment]
    posts = post_state(clusters, counts)
    return Strengths(
        user=fit_strength(cluster.liked.sum(1), cluster.shown.sum(1), expected.sum(1)),
        user_cluster=clusters.taste_strength or _given_total(cluster, expected),
        user_topic=_given_total(topic, topic.shown * topic_rate[segment]),
        segment_post=_given_total(
            Tally(counts.shown.T, counts.liked.T), (counts.shown * posts.rate).T
        ),
        trend=_trend(previous, counts, posts.rate),
        columns=_columns(fixed, found.by_column.before(step), cluster_rate),
    )


def _given_total(counts: Tally, expected: np.ndarray) -> float:
    """Prior strength of the ratios of a unit's cells, given the unit's total of likes.

    Rare likes would be multinomial given their total. An impression is liked once at most, so the
    variance is less, by one less the like rate, and all counts are divided by that.

    Args:
        counts: shape (n, n_cells); a single cell cannot differ from its total.
        expected: likes of each cell up to a factor of each unit, same shape.
    """
    if expected.shape[1] == 1:
        return STRONGEST
    dispersion = dispersion_of(counts)
    total = counts.liked.sum(1, keepdims=True) / dispersion
    share = expected / np.maximum(expected.sum(1, keepdims=True), LEAST_EVENTS)
    trials = np.where((expected > 0) & (share < WHOLE_SHARE), total, 0)
    return float(dispersion * fit_strength(counts.liked / dispersion, trials, total * share))


def _trend(previous: Tally, counts: Tally, rate: np.ndarray) -> float:
    """Prior strength of a post's likes in two periods, given their sum."""
    shown = _halves(previous.shown.sum(0), counts.shown.sum(0))
    liked = _halves(previous.liked.sum(0), counts.liked.sum(0))
    expected = _halves((previous.shown * rate).sum(0), (counts.shown * rate).sum(0))
    level = liked.sum(0) / np.maximum(expected.sum(0), LEAST_EVENTS)
    return _given_total(Tally(shown, liked), expected * level)


def _halves(early: np.ndarray, both: np.ndarray) -> np.ndarray:
    return np.stack([early, both - early], axis=1)


def _columns(
    fixed: WarmupParameters, by_column: Tally, cluster_rate: np.ndarray
) -> tuple[float, ...]:
    liked, expected = column_evidence(by_column, cluster_rate)
    shown = by_column.shown.reshape(-1, *cluster_rate.shape).sum(1)
    return tuple(
        _given_total(Tally(shown[low:high], liked[low:high]), expected[low:high])
        for low, high in pairwise(fixed.column_offsets)
    )
