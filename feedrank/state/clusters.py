"""What is learned per post: clusters of posts that the same segments of users like.

Posts belong to hidden clusters. A cluster has a like rate for each segment of users, a post has a
quality of its own that multiplies it, and a post's text says which clusters are likely:

    likes[segment, post] ~ Poisson(shown[segment, post] * rate[segment, cluster] * quality[post])
    quality ~ Gamma(mean 1, shape `strength`);  cluster ~ softmax(text @ gate)

The clusters, their first rates and the gate are fitted on the warm-up days by expectation
maximisation; the posterior of a post then follows the counts as of any moment, so that a new post
borrows from its text and an old one speaks for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from feedrank.state.counts.tally import Tally
from feedrank.stats.shrinkage import base_rate, log_evidence, ratio

# The rates that a post's likes are judged by are partly made by these very likes: they count less.
DISCOUNT = 1.5
RATE_PRIOR = 30.0  # impressions at the segment's own rate, added to each cluster


@dataclass(frozen=True)
class PostClusters:
    """What the warm-up taught about posts.

    Attributes:
        log_gate: log probability of each cluster but for segments' likes, shape (n_posts,
        n_clusters). rate: like rate, shape (n_segments, n_clusters).
        strength: of the prior of a post's quality, in expected likes.
        cluster: the most probable cluster of each post, shape (n_posts,).
        tastes: strength of the prior of a user's interest in a cluster, in expected likes, where
            users' tastes told the clusters; else None.
    """

    log_gate: np.ndarray
    rate: np.ndarray
    strength: float
    cluster: np.ndarray
    tastes: float | None = None


@dataclass(frozen=True)
class PostState:
    """What is known of every post as of one step.

    Attributes:
        cluster_rate: like rate, shape (n_segments, n_clusters).
        rate: like rate by segment, quality included, shape (n_segments, n_posts).
        base: the same without quality, shape (n_segments, n_posts).
        quality: likes over what the cluster lets expect, shape (n_posts,).
    """

    cluster_rate: np.ndarray
    rate: np.ndarray
    base: np.ndarray
    quality: np.ndarray


def post_state(clusters: PostClusters, counts: Tally) -> PostState:
    """The posterior of every post given counts as of a step, shape (n_segments, n_posts)."""
    rate = clusters.rate
    belonging, quality = expect(counts, clusters.log_gate, rate, clusters.strength)
    if counts.liked.any():
        rate = cluster_rates_of(counts, belonging, quality, prior=clusters.rate)
        belonging, quality = expect(counts, clusters.log_gate, rate, clusters.strength)
    base = rate @ belonging.T
    with_quality = rate @ (belonging * quality).T
    return PostState(rate, with_quality, base, (belonging * quality).sum(1))


def expect(
    counts: Tally, log_gate: np.ndarray, rate: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each cluster, and quality within it, both of shape (n_posts, n_clusters)."""
    expected = counts.shown.T @ rate
    liked = counts.liked.sum(0)[:, None]
    dispersion = dispersion_of(counts) * DISCOUNT
    likelihood = counts.liked.T @ np.log(rate) / dispersion
    likelihood += log_evidence(liked, expected, strength, dispersion)
    log_belonging = log_gate + likelihood
    log_belonging -= logsumexp(log_belonging, axis=1, keepdims=True)
    return np.exp(log_belonging), ratio(liked, expected, strength)


def dispersion_of(counts: Tally) -> float:
    """Variance of likes over that of Poisson counts: an impression is liked once at most."""
    return float(1 - base_rate(counts.liked.sum(), counts.shown.sum()))


def cluster_rates_of(
    counts: Tally, belonging: np.ndarray, quality: np.ndarray, prior: np.ndarray | None = None
) -> np.ndarray:
    """Like rates, shape (n_segments, n_clusters), drawn to a prior by `RATE_PRIOR` impressions."""
    if prior is None:
        shown, liked = counts.shown.sum(1), counts.liked.sum(1)
        overall = base_rate(liked.sum(), shown.sum())
        prior = ((liked + RATE_PRIOR * overall) / (shown + RATE_PRIOR))[:, None]
    liked = counts.liked @ belonging
    shown = counts.shown @ (belonging * quality)
    return np.minimum((liked + RATE_PRIOR * prior) / (shown + RATE_PRIOR), 0.999)
