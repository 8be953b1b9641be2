"""Similarity of posts: how alike users' tastes for two posts are, by the fitted priors."""

from __future__ import annotations

import numpy as np

from feedrank.state.feature_store import FeatureStore

DECIMALS = 3  # posts of one cluster and topic are about as similar: better liked ones lead


def similar_posts(
    store: FeatureStore, post: int, k: int, candidates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the posts that are most similar to a post, best first, and their similarity.

    A user's log ratio for a post is that of its clusters, topic, taste words and factors added up.
    Over users these are independent, with variances of about 1 / prior strength (that of a gamma
    prior's ratio) and 1 for factors. The similarity is the correlation of the log ratios of two
    posts, as of the end of the log. Equal ones, in three decimals, are ordered by quality.

    Args:
        store: of the posts.
        post: row.
        k: at most so many; the post itself is none of them.
        candidates: rows of posts to choose from.
    """
    state = store.states.as_of(store.shared.n_steps)
    rows = candidates[candidates != post]
    strengths, is_same = state.refit.strengths, _of_same_topic(store, post)
    of_topic = 1 / strengths.user_topic
    covariance, variance = is_same * of_topic, np.full(len(is_same), of_topic)
    values = np.hstack([state.membership.T / strengths.user_cluster**0.5, state.refit.factors.post])
    covariance += values @ values[post]
    variance += (values**2).sum(1)
    words, of_word = state.refit.words.rows, np.append(1 / state.refit.words.strength, 0)
    covariance += (of_word[words] * np.isin(words, words[:, post])).sum(0)
    variance += of_word[words].sum(0)
    similarity = np.round(covariance / np.sqrt(variance * variance[post]), DECIMALS)[rows]
    best = np.lexsort((rows, -state.quality[rows], -similarity))[:k]
    return rows[best], similarity[best]


def _of_same_topic(store: FeatureStore, post: int) -> np.ndarray:
    """Whether each post is of a post's topic; codes from the last fitted one on are of several."""
    topic = store.fitted.topic
    is_same = np.asarray(topic == topic[post])
    if topic[post] >= store.fitted.vocabulary.n_topics - 1:
        name = store.topic[post]
        for row in np.flatnonzero(is_same).tolist():
            is_same[row] = store.topic[row] == name
    return is_same
