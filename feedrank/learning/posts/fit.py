"""Clusters of posts, and latent factors beyond them, at a refit."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from feedrank.learning.posts.clusters import fit_clusters
from feedrank.learning.posts.factors import fit_factors
from feedrank.learning.posts.sample import expected_likes
from feedrank.learning.posts.tastes import Tastes, taste_ratios
from feedrank.params import FeaturesParams
from feedrank.state.counts.tally import Tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.clusters import PostClusters, dispersion_of, post_state
from feedrank.state.posts.factors import Factors
from feedrank.stats.shrinkage import HIGHEST_RATE

# Of the factors that a text lets expect, in posts. Of posts left out on *films* (3,000 users, 2,500
# posts), 10 to 100 explain .003 to .006 of the variance, 1 less than nothing (-.05). Known posts
# do not feel it.
TEXT_RIDGE = 10.0
FittedPosts = tuple[PostClusters, Factors]


def fit_posts(
    counts: Tally,
    sample: InteractionSample,
    texts: csr_matrix,
    text: np.ndarray,
    params: FeaturesParams,
) -> list[FittedPosts]:
    """Clusters and factors of posts from all impressions before a refit, of one kind or two.

    If users of one segment differ in the posts that they like, beyond chance, these tastes may lie
    in factors or in clusters. The second kind are clusters fitted again with users' tastes as
    evidence, and factors fitted to the likes that these leave unexplained.

    Args:
        counts: impressions and likes, shape (n_segments, n_posts).
        sample: impressions of some users.
        texts: design of the posts' texts and topics, shape (n_posts, d).
        text: its `text_components`.
        params: of the features.
    """
    fit = partial(fit_clusters, counts, texts, params.clusters, params.seed)
    factors = partial(fit_factors, sample, text=text, most=params.factors, seed=params.seed)
    clusters = fit()
    rate = post_state(clusters, counts).rate
    expected = expected_likes(sample, rate)
    found = factors(expected)
    kinds = [(clusters, Factors.of(found, rate, _of_text(texts, found)))]
    if found.shape[1]:
        tastes = Tastes(sample, rate, found, dispersion_of(counts))
        clusters = fit(tastes)
        rate = post_state(clusters, counts).rate
        expected = expected_likes(sample, rate)
        expected *= taste_ratios(sample, expected, clusters.cluster, tastes.strength)
        found = _within(factors(np.minimum(expected, HIGHEST_RATE)), clusters.cluster)
        kinds.append((clusters, Factors.of(found, rate, _of_text(texts, found))))
    return kinds


def _of_text(texts: csr_matrix, factors: np.ndarray) -> np.ndarray:
    """Weights of a text's design by which its post's factors are expected, shape (n_design, d)."""
    if not factors.shape[1]:
        return np.empty((texts.shape[1], 0))
    found = Ridge(alpha=TEXT_RIDGE, solver="lsqr", fit_intercept=False).fit(texts, factors)
    return np.asarray(found.coef_).reshape(factors.shape[1], -1).T


def _within(factors: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Factors less the mean of their cluster: users' ratios in clusters are features already."""
    member = np.eye(int(cluster.max()) + 1)[cluster]
    mean = member.T @ factors / np.maximum(member.sum(0), 1)[:, None]
    return np.asarray(factors - mean[cluster])
