"""What is learned of posts at the begin of a refit: their clusters, and factors beyond these."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from feedrank.learning.posts.clusters import fit_clusters
from feedrank.learning.posts.factors import fit_factors
from feedrank.learning.posts.sample import expected_likes
from feedrank.learning.posts.tastes import Tastes, taste_ratios
from feedrank.params import FeaturesParams
from feedrank.state.clusters import PostClusters, dispersion_of, post_state
from feedrank.state.counts.tally import Tally
from feedrank.state.factors import Factors
from feedrank.state.history import InteractionSample
from feedrank.stats.shrinkage import HIGHEST_RATE


def fit_posts(
    counts: Tally, sample: InteractionSample, texts: csr_matrix, params: FeaturesParams
) -> tuple[PostClusters, Factors]:
    """Clusters and factors of posts from everything before a refit.

    Where people of one segment differ in what they like, by more than chance, the clusters are
    found once more with that for evidence, and the factors in what they leave.

    Args:
        counts: impressions and likes, shape (n_segments, n_posts).
        sample: impressions of some users.
        texts: what each post's text and topic say, shape (n_posts, d).
        params: of the features.
    """
    clusters = fit_clusters(counts, texts, params.clusters, params.seed)
    rate = post_state(clusters, counts).rate
    expected = expected_likes(sample, rate)
    positions = fit_factors(sample, expected, texts, params.factors, params.seed)
    if positions.shape[1]:
        tastes = Tastes(sample, rate, positions, dispersion_of(counts))
        clusters = fit_clusters(counts, texts, params.clusters, params.seed, tastes)
        rate = post_state(clusters, counts).rate
        expected = expected_likes(sample, rate)
        expected *= taste_ratios(sample, expected, clusters.cluster, tastes.strength)
        expected = np.minimum(expected, HIGHEST_RATE)
        positions = fit_factors(sample, expected, texts, params.factors, params.seed)
        positions = _within(positions, clusters.cluster)
    return clusters, Factors.of(positions, rate)


def _within(positions: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Positions against the mean of their cluster: tastes for clusters are known apart."""
    member = np.eye(int(cluster.max()) + 1)[cluster]
    mean = member.T @ positions / np.maximum(member.sum(0), 1)[:, None]
    return np.asarray(positions - mean[cluster])
