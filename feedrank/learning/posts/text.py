"""Topics of posts as small codes."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from feedrank.schema import TEXT, TOPIC

MAX_TOPICS = 64


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
