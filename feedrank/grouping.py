"""How the groups of posts are found in the warm-up: expectation maximisation, text as a gate."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from scipy.special import log_softmax
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from feedrank.counts import Tally
from feedrank.posts import PostGroups, expect, group_rates_of
from feedrank.priors import fit_strength, ratio
from feedrank.schema import TEXT
from feedrank.topics import topic_codes

EM_ITERATIONS = 20
GATE_RIDGE = 1.0
GATE_STEPS = 8


def text_design(posts: pd.DataFrame, vocabulary: int) -> csr_matrix:
    """TF-IDF of texts beside a column for each topic and a constant, shape (n_posts, d)."""
    codes, names = topic_codes(posts)
    n_posts = len(posts)
    topics = csr_matrix((np.ones(n_posts), (np.arange(n_posts), codes)), (n_posts, len(names)))
    parts = [topics, csr_matrix(np.ones((n_posts, 1)))]
    # A word of one text alone says nothing about others.
    words = TfidfVectorizer(min_df=2, sublinear_tf=True, max_features=vocabulary)
    with contextlib.suppress(ValueError):  # no word stands in two texts
        parts.append(words.fit_transform(posts[TEXT]))
    return hstack(parts, format="csr")


def fit_groups(counts: Tally, design: csr_matrix, n_groups: int, seed: int) -> PostGroups:
    """Groups of posts from what the warm-up showed.

    Args:
        counts: impressions and likes, shape (n_segments, n_posts).
        design: of texts, shape (n_posts, d).
        n_groups: at most; fewer when there are fewer posts.
        seed: of the first guess.
    """
    n_groups = min(n_groups, design.shape[0])
    liked, shown = counts.liked.sum(0), counts.shown.sum(0)
    strength = fit_strength(liked, shown, expected_without_groups(counts))
    gate = np.zeros((design.shape[1], n_groups))
    belonging = _first_guess(counts, design, n_groups, strength, seed)
    rate = group_rates_of(counts, belonging, np.ones_like(belonging))
    for iteration in range(EM_ITERATIONS):
        gate = _fit_gate(design, belonging, gate)
        log_gate = log_softmax(design @ gate, axis=1)
        belonging, quality = expect(counts, log_gate, rate, strength)
        rate = group_rates_of(counts, belonging, quality)
        if iteration % 5 == 4:
            expected = counts.shown.T @ rate
            strength = fit_strength(liked[:, None], shown[:, None], expected, belonging)
    return PostGroups(log_gate, rate, strength, belonging.argmax(1))


def expected_without_groups(counts: Tally) -> np.ndarray:
    """Likes of each post if every post were alike to a segment, shape (n_posts,)."""
    by_segment = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    return np.asarray(by_segment @ counts.shown)


def _first_guess(
    counts: Tally, design: csr_matrix, n_groups: int, strength: float, seed: int
) -> np.ndarray:
    """Groups by k-means on each post's ratios by segment, with text where counts are few."""
    by_segment = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    expected = by_segment[:, None] * counts.shown
    evidence = np.log(ratio(counts.liked, expected, min(strength, 10.0))).T
    weight = expected.sum(0)
    text = Ridge(alpha=10.0 * max(weight.mean(), 1e-9), solver="lsqr", fit_intercept=False)
    from_text = text.fit(design, evidence, sample_weight=weight + 1e-9).predict(design)
    share = (weight / (weight + 60.0))[:, None]
    features = share * evidence + (1 - share) * from_text
    n_unlike = len(np.unique(features.round(6), axis=0))  # posts that nothing tells apart
    means = KMeans(min(n_groups, n_unlike), n_init=4, random_state=seed)
    labels = means.fit_predict(features)
    return np.asarray(0.9 * np.eye(n_groups)[labels] + 0.1 / n_groups)


def _fit_gate(design: csr_matrix, belonging: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Ridge softmax regression of soft group labels on texts, shape (d, n_groups)."""
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
