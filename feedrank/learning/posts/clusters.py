"""Clusters of posts by expectation maximisation, with texts and impressions as a gate."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from scipy.special import log_softmax, logsumexp
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge

from feedrank.learning.posts.tastes import Tastes
from feedrank.learning.texts.quality import with_text_quality
from feedrank.state.counts.tally import Tally
from feedrank.state.posts.clusters import PostClusters, cluster_rates_of, expect
from feedrank.stats.correspondence import LEAST_EVENTS, contrasts
from feedrank.stats.shrinkage import fit_strength

# Ranges in which other values change no more than another seed: docs/ranking.md, "Constants".
EM_ITERATIONS, TASTE_ITERATIONS = 20, 16
STRENGTH_EVERY = 5  # iterations from one fit of the quality's prior strength to the next
GATE_RIDGE, GATE_STEPS = 1.0, 8
TEXT_RIDGE = 10.0  # of the first guess, in posts of average weight
FIRST_DOUBT, STARTS = 0.1, 4  # of k-means


def fit_clusters(
    counts: Tally, texts: csr_matrix, n_clusters: int, seed: int, tastes: Tastes | None = None
) -> PostClusters:
    """Clusters of posts from all impressions before a refit.

    Args:
        counts: impressions and likes, shape (n_segments, n_posts).
        texts: design of the posts' texts and topics, shape (n_posts, d).
        n_clusters: at most; fewer when there are fewer posts.
        seed: of k-means, and of the halves of posts that judge texts.
        tastes: of users, as further evidence of a post's cluster.
    """
    n_clusters = min(n_clusters, texts.shape[0])
    liked, shown = counts.liked.sum(0), counts.shown.sum(0)
    design = hstack([texts, csr_matrix(_audience(counts.shown))], format="csr")
    single = design.astype(np.float32)
    transposed, gate = single.T.tocsr(), np.zeros((design.shape[1], n_clusters))
    membership = _first_guess(counts, design, n_clusters, seed, tastes)
    rate = cluster_rates_of(counts, membership, np.ones_like(membership))
    strength = fit_strength(liked, shown, expected_by_segment(counts).sum(0))
    for iteration in range(EM_ITERATIONS if tastes is None else TASTE_ITERATIONS):
        gate = _fit_gate(single, transposed, membership.astype(np.float32), gate)
        log_gate = log_softmax(design @ gate, axis=1)
        if tastes is not None:
            log_gate = log_gate + tastes.evidence(membership)
            log_gate -= logsumexp(log_gate, axis=1, keepdims=True)
        membership, quality = expect(counts, log_gate, rate, strength)
        rate = cluster_rates_of(counts, membership, quality)
        if iteration % STRENGTH_EVERY == STRENGTH_EVERY - 1:
            expected = counts.shown.T @ rate
            strength = fit_strength(liked[:, None], shown[:, None], expected, membership)
    taste_strength = None if tastes is None else tastes.strength
    of_text = gate[: texts.shape[1]]  # nobody has seen a new post: its audience has no contrast
    cluster = membership.argmax(1)
    found = PostClusters(log_gate, rate, strength, cluster, taste_strength, of_text)
    return with_text_quality(found, counts, texts, seed)


def expected_by_segment(counts: Tally) -> np.ndarray:
    """Likes if every post were alike to a segment, shape (n_segments, n_posts)."""
    by_segment = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    return np.asarray(by_segment[:, None] * counts.shown)


def _audience(shown: np.ndarray) -> np.ndarray:
    """Contrasts of impressions between segments, beyond chance, shape (n_posts, d)."""
    alike = np.outer(shown.sum(1), shown.sum(0)) / max(shown.sum(), 1)
    found = contrasts(shown, alike)
    return found.trust * found.score / found.spread


def _first_guess(
    counts: Tally, design: csr_matrix, n_clusters: int, seed: int, tastes: Tastes | None
) -> np.ndarray:
    """Clusters by k-means on contrasts of likes; where a post has few, its text predicts them."""
    expected = expected_by_segment(counts)
    found = contrasts(counts.liked, expected, at_least=1)
    weight = expected.sum(0) + LEAST_EVENTS
    text = Ridge(alpha=TEXT_RIDGE * weight.mean(), solver="lsqr", fit_intercept=False)
    text.fit(design, found.score, sample_weight=weight)
    from_text = text.predict(design).reshape(found.score.shape)
    features = found.trust * found.score + (1 - found.trust) * from_text
    if tastes is not None:
        features = np.hstack([features, tastes.factors * np.sqrt(weight.mean())])
    n_distinct = len(np.unique(features.round(6), axis=0))
    means = KMeans(min(n_clusters, n_distinct), n_init=STARTS, random_state=seed)
    member = np.eye(n_clusters)[means.fit_predict(features)]
    return np.asarray((1 - FIRST_DOUBT) * member + FIRST_DOUBT / n_clusters)


def _fit_gate(
    design: csr_matrix, transposed: csr_matrix, membership: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Ridge softmax regression of soft cluster labels by L-BFGS, shape (d, n_clusters).

    Products are of float32, in half the time of float64: after so few steps the gate is farther
    from the optimum than their rounding.
    """

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        gate = flat.reshape(start.shape)
        log_p = log_softmax(design @ gate.astype(np.float32), axis=1)
        slope = transposed @ (np.exp(log_p) - membership) + GATE_RIDGE * gate
        value = -np.sum(membership * log_p, dtype=float) + GATE_RIDGE / 2 * np.sum(gate**2)
        return float(value), slope.ravel()

    steps = {"maxiter": GATE_STEPS}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=steps)
    return np.asarray(found.x.reshape(start.shape))
