"""Text design: topics of posts as small codes, and TF-IDF of their words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from feedrank.state.posts.vocabulary import Vocabulary

MAX_TOPICS = 64  # any number above the topics of a network, of which the reference has 7


def topic_codes(topics: pd.Series) -> np.ndarray:
    """Codes of topics, most frequent first, int64, shape (n_posts,).

    Topics beyond the first `MAX_TOPICS - 1` share the last code.
    """
    counts = topics.value_counts()
    names = sorted(counts.index, key=lambda topic: (-counts[topic], topic))
    codes = {topic: min(code, MAX_TOPICS - 1) for code, topic in enumerate(names)}
    return topics.map(codes).to_numpy(dtype=np.int64)


def text_design(
    texts: Iterable[str], topic: np.ndarray, vocabulary: int
) -> tuple[csr_matrix, Vocabulary]:
    """A column for each topic, a constant, and TF-IDF of words, shape (n_posts, d); and the words.

    Args:
        texts: of the posts.
        topic: code of each post's topic, shape (n_posts,).
        vocabulary: words at most, the most frequent.
    """
    n_posts = len(topic)
    cells = (np.ones(n_posts), (np.arange(n_posts), topic))
    n_topics = int(topic.max()) + 1
    parts = [csr_matrix(cells, (n_posts, n_topics)), csr_matrix(np.ones((n_posts, 1)))]
    known = Vocabulary(n_topics, (), np.empty(0))
    # A word of one text alone says nothing about others.
    words = TfidfVectorizer(min_df=2, sublinear_tf=True, max_features=vocabulary)
    with contextlib.suppress(ValueError):  # no word stands in two texts
        parts.append(words.fit_transform(texts))
        known = Vocabulary(n_topics, tuple(words.get_feature_names_out().tolist()), words.idf_)
    return hstack(parts, format="csr"), known
