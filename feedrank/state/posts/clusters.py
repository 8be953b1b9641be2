"""Clusters of posts that the same segments of users like, and each post's posterior as of a step.

A mixture model: a cluster has a like rate for each segment of users, a post has a quality of its
own that multiplies it, and a post's text says which clusters are likely:

    likes[segment, post] ~ Poisson(shown[segment, post] * rate[segment, cluster] * quality[post])
    quality ~ Gamma(mean `text_quality`, shape `quality_strength`);  cluster ~ softmax(text @ gate)

Clusters, their first rates and the gate are fitted at each refit by expectation maximisation
(`feedrank.learning.posts.clusters`), then the quality that texts tell, if they tell any
(`feedrank.learning.texts.quality`). The posterior of a post follows its counts as of any step,
so that a new post is judged by its text and an old one by its likes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import logsumexp

from feedrank.state.counts.tally import Tally
from feedrank.stats.shrinkage import base_rate, log_evidence, ratio

# A post's likes also went into the cluster rate that they are compared with, so its evidence is
# divided by this: a tempered likelihood (docs/ranking.md, "Constants").
DISCOUNT = 1.5
RATE_PRIOR = 30.0  # prior strength of a cluster's like rate, in impressions: any from 10 to 100
HIGHEST_CLUSTER_RATE = 0.999  # below 1, as logarithms need
# Of quality, as a text tells it. Of posts whose words tell most of it, 2 to 8 % lie beyond.
LEAST_TOLD, MOST_TOLD = 0.2, 5.0
EVERY, ALIKE = slice(None), np.ones(1)  # posts, and of quality


@dataclass(frozen=True)
class PostClusters:
    """Clusters of posts, fitted at a refit.

    Attributes:
        log_gate: log prior probability of each cluster, segments' likes apart, shape (n_posts,
            n_clusters).
        rate: like rate, shape (n_segments, n_clusters).
        quality_strength: prior strength of a post's quality, in expected likes.
        cluster: the most probable cluster of each post, shape (n_posts,).
        taste_strength: prior strength of a user's ratio in a cluster, in expected likes, where
            users' likes identified the clusters; else None.
        gate: of a text's design, for posts that come later, shape (n_design, n_clusters); (0, 0)
            of a refit that is not the last.
        text_quality: prior mean of each post's quality, shape (n_posts,); (1,), a 1 for all posts,
            where texts tell nothing of it.
        quality_of_text: weights of a text's design by which a later post has its `text_quality`,
            shape (n_design,); (0,) where texts tell nothing.
    """

    log_gate: np.ndarray
    rate: np.ndarray
    quality_strength: float
    cluster: np.ndarray
    taste_strength: float | None = None
    gate: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    text_quality: np.ndarray = field(default_factory=lambda: ALIKE)
    quality_of_text: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def tells_quality(self) -> bool:
        """Whether texts tell quality."""
        return len(self.quality_of_text) > 0


@dataclass(frozen=True)
class PostState:
    """Posterior means of every post as of one step.

    Attributes:
        rate: like rate by segment, quality included, shape (n_segments, n_posts).
        base: the same without quality, shape (n_segments, n_posts).
        quality: likes over those that the cluster lets expect, shape (n_posts,).
        membership: probability of each cluster, shape (n_posts, n_clusters).
    """

    rate: np.ndarray
    base: np.ndarray
    quality: np.ndarray
    membership: np.ndarray


def array_names(tells_quality: bool) -> tuple[str, ...]:
    """Arrays of clusters that a refit writes; some only where texts tell quality."""
    told = ("text_quality", "quality_of_text") if tells_quality else ()
    return ("log_gate", "rate", "cluster", "gate", *told)


def rates_as_of(clusters: PostClusters, counts: Tally) -> np.ndarray:
    """Like rates of the clusters given counts as of a step, shape (n_segments, n_clusters)."""
    if not counts.liked.any():
        return clusters.rate
    of_posts = _posterior(clusters, counts, clusters.rate)
    return cluster_rates_of(counts, *of_posts, prior=clusters.rate)


def post_state(
    clusters: PostClusters,
    counts: Tally,
    rate: np.ndarray | None = None,
    posts: np.ndarray | slice = EVERY,
) -> PostState:
    """Posterior of posts given counts as of a step.

    Args:
        clusters: of all posts.
        counts: of all posts, shape (n_segments, n_posts).
        rate: `rates_as_of` these counts, if they are there already.
        posts: rows of the posts; the bits of each are the same, whichever others there are.
    """
    rate = rates_as_of(clusters, counts) if rate is None else rate
    membership, quality = _posterior(clusters, counts, rate, posts)
    of_cluster = membership * quality

    def mean(weight: np.ndarray) -> np.ndarray:
        # Products of fewer rows may be added up in another order.
        of_all = np.zeros_like(clusters.log_gate)
        of_all[posts] = weight
        return np.ascontiguousarray((rate @ of_all.T)[:, posts])

    return PostState(mean(of_cluster), mean(membership), of_cluster.sum(1), membership)


def _posterior(
    clusters: PostClusters, counts: Tally, rate: np.ndarray, posts: np.ndarray | slice = EVERY
) -> tuple[np.ndarray, np.ndarray]:
    priors = (clusters.log_gate, rate, clusters.quality_strength)
    return expect(counts, *priors, posts, clusters.text_quality)


def clipped_quality(told: np.ndarray) -> np.ndarray:
    """Prior mean of quality from what texts tell of it beyond 1, a design times its weights."""
    return np.clip(1 + told, LEAST_TOLD, MOST_TOLD)


def expect(
    counts: Tally,
    log_gate: np.ndarray,
    rate: np.ndarray,
    strength: float,
    posts: np.ndarray | slice = EVERY,
    text_quality: np.ndarray = ALIKE,
) -> tuple[np.ndarray, np.ndarray]:
    """Expectation step: probability of each cluster, and quality within it, (n_posts, n_clusters).

    Args:
        counts: of all posts, shape (n_segments, n_posts).
        log_gate: as in `PostClusters`.
        rate: as in `PostClusters`.
        strength: prior strength of quality, in expected likes.
        posts: rows of those that are asked for; products are of all, to the same bits.
        text_quality: as in `PostClusters`.
    """
    told = np.broadcast_to(text_quality, len(log_gate))[posts, None]
    expected = (counts.shown.T @ rate)[posts] * told
    liked = counts.liked[:, posts].sum(0)[:, None]
    dispersion = dispersion_of(counts) * DISCOUNT
    likelihood = (counts.liked.T @ np.log(rate))[posts] / dispersion
    likelihood += log_evidence(liked, expected, strength, dispersion)
    log_membership = log_gate[posts] + likelihood
    log_membership -= logsumexp(log_membership, axis=1, keepdims=True)
    return np.exp(log_membership), told * ratio(liked, expected, strength)


def dispersion_of(counts: Tally) -> float:
    """Variance of likes over that of Poisson counts: one less the like rate, as of Bernoulli."""
    return float(1 - base_rate(counts.liked.sum(), counts.shown.sum()))


def cluster_rates_of(
    counts: Tally, membership: np.ndarray, quality: np.ndarray, prior: np.ndarray | None = None
) -> np.ndarray:
    """Maximisation step: like rates shrunk to a prior, shape (n_segments, n_clusters).

    Args:
        counts: shape (n_segments, n_posts).
        membership: probability of each cluster, shape (n_posts, n_clusters).
        quality: within each cluster, same shape.
        prior: like rates, shape (n_segments, n_clusters); None: each segment's own.
    """
    if prior is None:
        shown, liked = counts.shown.sum(1), counts.liked.sum(1)
        prior = shrunk_rate(liked, shown, base_rate(liked.sum(), shown.sum()))[:, None]
    shown, liked = counts.shown @ (membership * quality), counts.liked @ membership
    return np.minimum(shrunk_rate(liked, shown, prior), HIGHEST_CLUSTER_RATE)


def shrunk_rate(liked: np.ndarray, shown: np.ndarray, prior: np.ndarray | float) -> np.ndarray:
    """Like rate under a prior of `RATE_PRIOR` impressions."""
    return (liked + RATE_PRIOR * prior) / (shown + RATE_PRIOR)
