"""Quality that texts tell: the prior mean of a post's quality, by ridge regression at a refit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import Ridge

from feedrank.learning.texts.design import n_fixed_columns
from feedrank.state.counts.tally import Tally
from feedrank.state.posts.clusters import PostClusters, clipped_quality, dispersion_of, expect
from feedrank.stats.shrinkage import fit_strength

# Penalties are 1 / variance of a weight: topics differ by .5. From 1 to 16 posts left out are
# foretold alike. Words have the penalty that foretells best, the strongest first: spreads of .1 to
# 1 in units of a text's norm; infinity is topics alone.
TOPIC_PENALTY = 4.0
WORD_PENALTIES = (np.inf, 100.0, 30.0, 10.0, 3.0, 1.0)
LEAST_Z = 3.0  # standard errors by which texts must foretell posts left out


def with_text_quality(
    clusters: PostClusters, counts: Tally, texts: csr_matrix, seed: int
) -> PostClusters:
    """Clusters with the quality that texts tell, and the strength of what they leave; or the same.

    The ratio of a post's likes to those that its text's clusters let expect, less 1, is regressed
    on its text. Its variance is that of the likes, 1 / expected, and of qualities, 1 / strength.

    Args:
        clusters: of the posts, by segments and cluster alone.
        counts: of the posts, shape (n_segments, n_posts).
        texts: `text_design` of the posts, shape (n_posts, n_design).
        seed: of the halves of the posts that foretell each other.
    """
    liked, shown = counts.liked.sum(0), counts.shown.sum(0)
    by_cluster = counts.shown.T @ clusters.rate
    known = np.flatnonzero(shown)
    expected = (np.exp(clusters.log_gate) * by_cluster).sum(1)[known]
    weight = 1 / (dispersion_of(counts) / expected + 1 / clusters.quality_strength)
    half = np.random.default_rng(seed).permutation(len(known)) % 2 == 0
    of_text = _weights(texts[known], liked[known] / expected - 1, weight, half)
    if of_text is None:
        return clusters
    told = clipped_quality(texts @ of_text)
    priors = (clusters.log_gate, clusters.rate, clusters.quality_strength)
    membership, _ = expect(counts, *priors, text_quality=told)
    strength = fit_strength(liked[:, None], shown[:, None], by_cluster * told[:, None], membership)
    return replace(
        clusters,
        quality_strength=strength,
        cluster=membership.argmax(1),
        text_quality=told,
        quality_of_text=of_text,
    )


def _weights(
    texts: csr_matrix, ratio: np.ndarray, weight: np.ndarray, half: np.ndarray
) -> np.ndarray | None:
    """Weights of a design by which posts left out are foretold best; None if not beyond chance."""
    if len(ratio) < 2:
        return None
    alone = weight * ratio**2
    least, best = np.full(len(ratio), np.inf), np.empty(0)
    for scale in _scales(texts):
        scaled = texts @ diags(scale)
        loss = weight * (ratio + 1 - clipped_quality(_left_out(scaled, ratio, weight, half))) ** 2
        if loss.sum() >= least.sum():
            break
        least, best = loss, scale
    gain = alone - least
    if gain.sum() <= LEAST_Z * np.sqrt(len(gain)) * gain.std():
        return None
    return best * _ridge(texts @ diags(best), ratio, weight)


def _scales(texts: csr_matrix) -> Iterator[np.ndarray]:
    """Scale of each column by which one penalty is that of topics and that of words."""
    is_fixed = np.arange(texts.shape[1]) < n_fixed_columns(texts)
    for penalty in WORD_PENALTIES if not is_fixed.all() else WORD_PENALTIES[:1]:
        yield np.where(is_fixed, 1.0, np.sqrt(TOPIC_PENALTY / penalty))


def _left_out(
    texts: csr_matrix, ratio: np.ndarray, weight: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """Each post's ratio as the other half of the posts foretells it."""
    told = np.empty(len(ratio))
    for fit, rest in ((half, ~half), (~half, half)):
        told[rest] = texts[rest] @ _ridge(texts[fit], ratio[fit], weight[fit])
    return told


def _ridge(texts: csr_matrix, ratio: np.ndarray, weight: np.ndarray) -> np.ndarray:
    fit = Ridge(alpha=TOPIC_PENALTY, solver="lsqr", fit_intercept=False)
    return np.asarray(fit.fit(texts, ratio, sample_weight=weight).coef_)
