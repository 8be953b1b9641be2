"""Rates as of a step: what all posts' counts say together, the same for every post."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.tally import Tally
from feedrank.state.fitted import FittedParameters
from feedrank.state.posts.clusters import rates_as_of, shrunk_rate
from feedrank.state.posts.refit import Refit
from feedrank.stats.shrinkage import as_feature, base_rate, log_ratio, ratio

# Prior strength of the recent like rate of all posts, in impressions: the same number for all
# posts, so that the first stage's order does not depend on it.
LEVEL_PRIOR = 50.0
# Prior strength of what windows tell of posts, of topics and of users' topics, in expected likes.
# That of `trend`, which is fitted, leaves some hundredths of it where a log is thin, and rows then
# fitted noise. 0.5 to 3 order alike: docs/ranking.md, "Terms".
WINDOW_STRENGTH = 1.0


@dataclass(frozen=True, eq=False)
class StepRates:
    """Rates as of one step.

    Attributes:
        step: rows of this step or later do not count.
        refit: that the step belongs to.
        posterior_rate: like rate of the clusters' mixture, shape (n_segments, n_clusters).
        cluster_rate: like rate of each cluster's posts, float64, same shape.
        topic_rate: like rate, float64, shape (n_segments, n_topics).
        columns: log ratio by profile code (end to end) and cluster, shape (n_codes, n_clusters).
        level: log ratio of the recent like rate over lifetime, one number.
        topic_trend: the same of each topic's likes by window, shape (len(WINDOWS), n_topics).
    """

    step: int
    refit: Refit
    posterior_rate: np.ndarray
    cluster_rate: np.ndarray
    topic_rate: np.ndarray
    columns: np.ndarray
    level: float
    topic_trend: np.ndarray

    @classmethod
    def of(
        cls,
        fitted: FittedParameters,
        step: int,
        counts: Tally,
        recent: np.ndarray,
        by_column: Tally,
    ) -> StepRates:
        """Rates from counts as of a step.

        Args:
            fitted: parameters.
            step: of the counts.
            counts: shape (n_segments, n_posts).
            recent: impressions and likes by half-life, shape (n_half_lives, 2, n_posts).
            by_column: key (profile code end to end, segment, cluster).
        """
        refit = fitted.refit(step)
        cluster_rate = rates_within(refit.clusters.cluster, fitted.n_clusters, counts)
        return cls(
            step,
            refit,
            rates_as_of(refit.clusters, counts),
            cluster_rate,
            rates_within(fitted.topic, fitted.n_topics, counts),
            _columns(fitted, refit, by_column, cluster_rate),
            _level(counts, recent[0]),
            _topic_trend(fitted, counts, recent[1:]),
        )


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


def _columns(
    fitted: FittedParameters, refit: Refit, by_column: Tally, cluster_rate: np.ndarray
) -> np.ndarray:
    """Log ratios of each profile code's likes of a cluster over those of its segments."""
    liked, expected = column_evidence(by_column, cluster_rate)
    strength = np.repeat(refit.strengths.columns, fitted.column_codes)
    overall = ratio(liked.sum(1), expected.sum(1), strength)[:, None]
    within = ratio(liked, expected * overall, strength[:, None])
    return as_feature(np.log(overall * within))


def _level(counts: Tally, recent: np.ndarray) -> float:
    lifetime = base_rate(counts.liked.sum(), counts.shown.sum())
    shown, liked = recent.sum(1) + np.array([1, lifetime]) * LEVEL_PRIOR
    return float(np.log(liked / shown / lifetime))


def _topic_trend(fitted: FittedParameters, counts: Tally, recent: np.ndarray) -> np.ndarray:
    def by_topic(of_posts: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(fitted.topic, row, fitted.n_topics) for row in of_posts])

    lifetime_rate = base_rate(*by_topic(np.stack([counts.liked.sum(0), counts.shown.sum(0)])))
    shown, liked = (by_topic(recent[:, i]) for i in (0, 1))
    return log_ratio(liked, shown * lifetime_rate, WINDOW_STRENGTH)
