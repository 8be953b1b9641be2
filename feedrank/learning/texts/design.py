"""Design of posts: topics as small codes, TF-IDF of words, and components of embeddings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from feedrank.state.posts.embedding_axes import NO_AXES, EmbeddingAxes
from feedrank.state.posts.vocabulary import Vocabulary

# Axes at most: each is a column of every post. On 7,023 posts 64 of them raise the time of a gate's
# fit from .08 to .14 s. Axes of less spread than this share of the first one's are rounding.
MAX_AXES, LEAST_SPREAD = 64, 1e-9
# Of the users of a bucket each has two counts a topic: at 20,000 users, 160 MB for 512 topics.
MAX_TOPICS = 512


def topic_codes(topics: pd.Series) -> np.ndarray:
    """Codes of topics, most frequent first, int64, shape (n_posts,).

    The last code is shared by topics of a single post, which say nothing of others, and by those
    beyond the first `MAX_TOPICS - 1`.
    """
    counts = topics.value_counts()
    names = sorted(counts.index, key=lambda topic: (-counts[topic], topic))
    shared = min(int((counts > 1).sum()), MAX_TOPICS - 1)
    codes = {topic: min(code, shared) for code, topic in enumerate(names)}
    return topics.map(codes).to_numpy(dtype=np.int64)


def text_design(
    texts: Iterable[str], topic: np.ndarray, vocabulary: int, embeddings: np.ndarray
) -> tuple[csr_matrix, Vocabulary]:
    """Columns of topics, a constant, of words and embeddings, (n_posts, d); and what says them.

    Args:
        texts: of the posts.
        topic: code of each post's topic, shape (n_posts,).
        vocabulary: words at most, the most frequent; 0 for none.
        embeddings: of each post, NaN for none, shape (n_posts, width); the width may be 0.
    """
    n_posts = len(topic)
    cells = (np.ones(n_posts), (np.arange(n_posts), topic))
    n_topics = int(topic.max()) + 1
    parts = [csr_matrix(cells, (n_posts, n_topics)), csr_matrix(np.ones((n_posts, 1)))]
    axes = principal_axes(embeddings)
    known = Vocabulary(n_topics, (), np.empty(0), axes)
    # A word of one text alone says nothing about others.
    words = TfidfVectorizer(min_df=2, sublinear_tf=True, max_features=vocabulary)
    with contextlib.suppress(ValueError):  # no word stands in two texts, or none is wanted
        parts.append(words.fit_transform(texts))
        names = tuple(words.get_feature_names_out().tolist())
        known = Vocabulary(n_topics, names, words.idf_, axes)
    parts.append(csr_matrix(axes.components(embeddings)))
    return hstack(parts, format="csr"), known


def n_fixed_columns(design: csr_matrix) -> int:
    """Columns of a text's design that are topics or the constant, each row's second entry."""
    return int(design.indices[design.indptr[0] + 1]) + 1


def principal_axes(embeddings: np.ndarray) -> EmbeddingAxes:
    """The first axes of embeddings, scaled so that components have the mean square of words.

    Args:
        embeddings: of each post, NaN for none, shape (n_posts, width).
    """
    given = embeddings[~np.isnan(embeddings).any(1)].astype(np.float64)
    if not given.size:
        return NO_AXES
    mean = given.mean(0)
    spread, axes = np.linalg.eigh((given - mean).T @ (given - mean) / len(given))
    kept = np.arange(len(mean))[::-1][:MAX_AXES]
    kept = kept[spread[kept] > LEAST_SPREAD * spread[-1]]
    scale = 1 / np.sqrt(max(spread[kept].sum(), np.finfo(float).tiny))
    return EmbeddingAxes(mean, axes[:, kept] * scale)
