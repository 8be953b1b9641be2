"""New posts: what content lets expect of a post that came after the fit, until likes tell."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import log_softmax

from feedrank.live.events import NewPost
from feedrank.state.fitted import FittedParameters
from feedrank.state.plugins.plugin import Posts
from feedrank.state.posts.clusters import clipped_quality
from feedrank.state.posts.factors import Factors
from feedrank.state.posts.refit import Refit

logger = logging.getLogger(__name__)


def fitted_with(
    fitted: FittedParameters, posts: Sequence[NewPost], topics: Mapping[str, int]
) -> FittedParameters:
    """Fitted parameters with further posts at the end, each as text, topic and embedding say.

    A post has the prior of a known post of its content that nobody has been shown. Topics that no
    post had at the fit share one code. In refits before the last one, which serve moments when the
    posts were not there, all clusters are equally likely, and texts tell nothing.

    Args:
        fitted: parameters.
        posts: in the order of their rows.
        topics: code of each known topic.
    """
    vocabulary = fitted.vocabulary
    codes = [topics.get(post.topic, vocabulary.n_topics) for post in posts]
    *earlier, last = fitted.refits
    of_posts = zip(codes, _embeddings(posts, len(vocabulary.axes.mean)), strict=True)
    texts = [(post.text, *of) for post, of in zip(posts, of_posts, strict=True)]
    tables = (last.clusters.gate, last.factors.of_text, _quality_table(last))
    told = [np.stack([vocabulary.times(*text, table) for text in texts]) for table in tables]
    n, n_clusters = len(posts), fitted.n_clusters
    columns_of = [vocabulary.design(text, topic)[0] for text, topic, _ in texts]
    words = np.stack([last.words.numbers(columns) for columns in columns_of], axis=1)
    before = [_alike(refit, n, n_clusters) for refit in earlier]
    topic = np.concatenate([fitted.topic, np.array(codes, np.int64)])
    columns = [[getattr(post, name) for post in posts] for name in ("post_id", "text", "topic")]
    plugins = fitted.plugins.with_posts(Posts(*columns))
    refits = (*before, _with(last, told[0], told[1], told[2], words))
    n_later = fitted.n_later_posts + len(posts)
    return replace(fitted, topic=topic, refits=refits, plugins=plugins, n_later_posts=n_later)


def _embeddings(posts: Sequence[NewPost], width: int) -> list[np.ndarray | None]:
    """Embeddings of the width that the artifact's have; None of any other, which is said."""
    vectors = [post.embedding if width else None for post in posts]
    wrong = [
        post.post_id
        for post, vector in zip(posts, vectors, strict=True)
        if vector is not None and len(vector) != width
    ]
    if wrong:
        logger.warning(
            f"{len(wrong)} new posts, such as {wrong[:5]}, have no embedding of {width} finite "
            "numbers as those of the artifact: their words alone place them."
        )
    return [None if v is None or len(v) != width else v for v in vectors]


def _quality_table(refit: Refit) -> np.ndarray:
    """Weights of a text's design by which its post's quality is told, shape (n_design,)."""
    clusters = refit.clusters
    return clusters.quality_of_text if clusters.tells_quality else np.zeros(len(clusters.gate))


def _alike(refit: Refit, n: int, n_clusters: int) -> Refit:
    """A refit with so many further posts, of which it knows nothing."""
    words = np.full((len(refit.words.of_post), n), len(refit.words))
    factors = np.zeros((n, refit.factors.n_factors))
    return _with(refit, np.zeros((n, n_clusters)), factors, np.zeros(n), words)


def _with(
    refit: Refit, log_odds: np.ndarray, factors: np.ndarray, told: np.ndarray, words: np.ndarray
) -> Refit:
    """A refit with further posts, a row each.

    Args:
        refit: parameters.
        log_odds: of clusters, shape (n, n_clusters).
        factors: shape (n, n_factors).
        told: quality that texts tell beyond 1, shape (n,).
        words: numbers of their taste words, as `TasteWords.of_post`.
    """
    known = refit.clusters
    log_gate, quality = log_softmax(log_odds, axis=1), clipped_quality(told)
    text_quality = known.text_quality
    if known.tells_quality:
        text_quality = np.concatenate([text_quality, quality])
    clusters = replace(
        known,
        log_gate=np.concatenate([known.log_gate, log_gate]),
        cluster=np.concatenate([known.cluster, log_gate.argmax(1)]),
        text_quality=text_quality,
    )
    new_rate = known.rate @ np.exp(log_gate).T * quality
    rate = np.concatenate([refit.factors.rate, new_rate], axis=1)
    post = np.concatenate([refit.factors.post, factors])
    of_factors = Factors.of(post, rate, refit.factors.of_text)
    known_words = refit.words.followed_by(words)
    return replace(refit, clusters=clusters, factors=of_factors, words=known_words)
