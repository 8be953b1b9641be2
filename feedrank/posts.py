"""What is learned per post: groups of posts that the same segments of users like.

Posts belong to hidden groups. A group has a like rate for each segment of users, a post has a
quality of its own that multiplies it, and a post's text says which groups are likely:

    likes[segment, post] ~ Poisson(shown[segment, post] * rate[segment, group] * quality[post])
    quality ~ Gamma(mean 1, shape `strength`);  group ~ softmax(text @ gate)

The groups, their first rates and the gate are fitted on the warm-up days by expectation
maximisation; the posterior of a post then follows the counts as of any moment, so that a new post
borrows from its text and an old one speaks for itself.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from scipy.special import log_softmax, logsumexp
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from feedrank.counts import Tally
from feedrank.priors import fit_strength, log_evidence, ratio
from feedrank.schema import TEXT, TOPIC

MAX_TOPICS = 64
EM_ITERATIONS = 30
RATE_PRIOR = 30.0  # impressions at the segment's own rate, added to each group
GATE_RIDGE = 1.0
GATE_STEPS = 8


@dataclass(frozen=True)
class PostGroups:
    """What the warm-up taught about posts.

    Attributes:
        log_gate: log probability of each group from text alone, shape (n_posts, n_groups).
        rate: like rate, shape (n_segments, n_groups).
        strength: of the prior of a post's quality, in expected likes.
        cluster: the most probable group of each post, shape (n_posts,).
    """

    log_gate: np.ndarray
    rate: np.ndarray
    strength: float
    cluster: np.ndarray


@dataclass(frozen=True)
class PostState:
    """What is known of every post as of one step.

    Attributes:
        group_rate: like rate, shape (n_segments, n_groups).
        rate: like rate by segment, quality included, shape (n_segments, n_posts).
        base: the same without quality, shape (n_segments, n_posts).
        quality: likes over what the group lets expect, shape (n_posts,).
    """

    group_rate: np.ndarray
    rate: np.ndarray
    base: np.ndarray
    quality: np.ndarray


def topic_codes(posts: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Codes of topics, most frequent first; beyond 63 topics the rest share one."""
    counts = posts[TOPIC].value_counts()
    names = sorted(counts.index, key=lambda topic: (-counts[topic], topic))
    codes = posts[TOPIC].map({t: min(i, MAX_TOPICS - 1) for i, t in enumerate(names)})
    return codes.to_numpy(dtype=np.int64), names[:MAX_TOPICS]


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
    strength = fit_strength(counts.liked.sum(0), expected_without_groups(counts))
    gate = np.zeros((design.shape[1], n_groups))
    belonging = _first_guess(counts, design, n_groups, strength, seed)
    rate = _group_rates(counts, belonging, np.ones_like(belonging))
    for iteration in range(EM_ITERATIONS):
        gate = _fit_gate(design, belonging, gate)
        log_gate = log_softmax(design @ gate, axis=1)
        belonging, quality = _expect(counts, log_gate, rate, strength)
        rate = _group_rates(counts, belonging, quality)
        if iteration % 5 == 4:
            expected = counts.shown.T @ rate
            strength = fit_strength(counts.liked.sum(0)[:, None], expected, belonging)
    return PostGroups(log_gate, rate, strength, belonging.argmax(1))


def expected_without_groups(counts: Tally) -> np.ndarray:
    """Likes of each post if every post were alike to a segment, shape (n_posts,)."""
    by_segment = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    return np.asarray(by_segment @ counts.shown)


def post_state(groups: PostGroups, counts: Tally) -> PostState:
    """The posterior of every post given counts as of a step, shape (n_segments, n_posts)."""
    rate = groups.rate
    belonging, quality = _expect(counts, groups.log_gate, rate, groups.strength)
    if counts.liked.any():
        rate = _group_rates(counts, belonging, quality, prior=groups.rate)
        belonging, quality = _expect(counts, groups.log_gate, rate, groups.strength)
    base = rate @ belonging.T
    with_quality = rate @ (belonging * quality).T
    return PostState(rate, with_quality, base, (belonging * quality).sum(1))


def _expect(
    counts: Tally, log_gate: np.ndarray, rate: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each group, and quality within it, both of shape (n_posts, n_groups)."""
    expected = counts.shown.T @ rate
    liked = counts.liked.sum(0)[:, None]
    likelihood = counts.liked.T @ np.log(rate) + log_evidence(liked, expected, strength)
    log_belonging = log_gate + likelihood
    log_belonging -= logsumexp(log_belonging, axis=1, keepdims=True)
    return np.exp(log_belonging), ratio(liked, expected, strength)


def _group_rates(
    counts: Tally, belonging: np.ndarray, quality: np.ndarray, prior: np.ndarray | None = None
) -> np.ndarray:
    """Like rates, shape (n_segments, n_groups), drawn to a prior by `RATE_PRIOR` impressions."""
    if prior is None:
        shown, liked = counts.shown.sum(1), counts.liked.sum(1)
        overall = (liked.sum() + 1) / (shown.sum() + 10)
        prior = ((liked + RATE_PRIOR * overall) / (shown + RATE_PRIOR))[:, None]
    liked = counts.liked @ belonging
    shown = counts.shown @ (belonging * quality)
    return np.minimum((liked + RATE_PRIOR * prior) / (shown + RATE_PRIOR), 0.999)


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
    labels = KMeans(n_groups, n_init=4, random_state=seed).fit_predict(features)
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
