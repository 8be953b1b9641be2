"""How the clusters of posts are found: expectation maximisation, text and exposure as a gate."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from scipy.special import log_softmax, logsumexp
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge

from feedrank.learning.posts.tastes import Tastes
from feedrank.state.clusters import PostClusters, cluster_rates_of, expect
from feedrank.state.counts.tally import Tally
from feedrank.stats.correspondence import TINY, contrasts
from feedrank.stats.shrinkage import fit_strength

EM_ITERATIONS = 20
TASTE_ITERATIONS = 8  # more of them begin to follow chance
GATE_RIDGE = 1.0
GATE_STEPS = 8


def fit_clusters(
    counts: Tally, texts: csr_matrix, n_clusters: int, seed: int, tastes: Tastes | None = None
) -> PostClusters:
    """Clusters of posts from everything that was shown before a refit.

    Args:
        counts: impressions and likes, shape (n_segments, n_posts).
        texts: what each post's text and topic say, shape (n_posts, d).
        n_clusters: at most; fewer when there are fewer posts.
        seed: of the first guess.
        tastes: of users, if they tell more of posts than segments do.
    """
    n_clusters = min(n_clusters, texts.shape[0])
    liked, shown = counts.liked.sum(0), counts.shown.sum(0)
    design = hstack([texts, csr_matrix(_exposure(counts.shown))], format="csr")
    gate = np.zeros((design.shape[1], n_clusters))
    belonging = _first_guess(counts, design, n_clusters, seed, tastes)
    rate = cluster_rates_of(counts, belonging, np.ones_like(belonging))
    strength = fit_strength(liked, shown, expected_without_groups(counts).sum(0))
    for iteration in range(EM_ITERATIONS if tastes is None else TASTE_ITERATIONS):
        gate = _fit_gate(design, belonging, gate)
        log_gate = log_softmax(design @ gate, axis=1)
        if tastes is not None:
            log_gate = log_gate + tastes.evidence(belonging)
            log_gate -= logsumexp(log_gate, axis=1, keepdims=True)
        belonging, quality = expect(counts, log_gate, rate, strength)
        rate = cluster_rates_of(counts, belonging, quality)
        if iteration % 5 == 4:
            expected = counts.shown.T @ rate
            strength = fit_strength(liked[:, None], shown[:, None], expected, belonging)
    told = None if tastes is None else tastes.strength
    return PostClusters(log_gate, rate, strength, belonging.argmax(1), told)


def expected_without_groups(counts: Tally) -> np.ndarray:
    """Likes if every post were alike to a segment, shape (n_segments, n_posts)."""
    by_segment = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    return np.asarray(by_segment[:, None] * counts.shown)


def _exposure(shown: np.ndarray) -> np.ndarray:
    """To whom each post is shown more than others, as far as it is no chance, (n_posts, d)."""
    alike = np.outer(shown.sum(1), shown.sum(0)) / max(shown.sum(), 1)
    found = contrasts(shown, alike)
    return found.trust * found.score / found.spread


def _first_guess(
    counts: Tally, design: csr_matrix, n_clusters: int, seed: int, tastes: Tastes | None
) -> np.ndarray:
    """Clusters by k-means on who likes a post, or would by its text where its likes are few."""
    expected = expected_without_groups(counts)
    found = contrasts(counts.liked, expected, at_least=1)
    weight = expected.sum(0) + TINY
    text = Ridge(alpha=10.0 * weight.mean(), solver="lsqr", fit_intercept=False)
    text.fit(design, found.score, sample_weight=weight)
    from_text = text.predict(design).reshape(found.score.shape)
    features = found.trust * found.score + (1 - found.trust) * from_text
    if tastes is not None:
        features = np.hstack([features, tastes.positions * np.sqrt(weight.mean())])
    n_unlike = len(np.unique(features.round(6), axis=0))  # posts that nothing tells apart
    means = KMeans(min(n_clusters, n_unlike), n_init=4, random_state=seed)
    labels = means.fit_predict(features)
    return np.asarray(0.9 * np.eye(n_clusters)[labels] + 0.1 / n_clusters)


def _fit_gate(design: csr_matrix, belonging: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Ridge softmax regression of soft cluster labels, shape (d, n_clusters)."""
    transposed = design.T.tocsr()

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        gate = flat.reshape(start.shape)
        log_p = log_softmax(design @ gate, axis=1)
        slope = transposed @ (np.exp(log_p) - belonging) + GATE_RIDGE * gate
        value = -np.sum(belonging * log_p) + GATE_RIDGE / 2 * np.sum(gate**2)
        return float(value), slope.ravel()

    found = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": GATE_STEPS}
    )
    return np.asarray(found.x.reshape(start.shape))
