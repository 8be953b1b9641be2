"""Words that tell how much posts are liked set the quality that is expected of a later post."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from feedrank.learning.posts.clusters import fit_clusters
from feedrank.learning.texts.design import n_fixed_columns, text_design
from feedrank.state.counts.tally import Tally
from feedrank.state.posts.clusters import LEAST_TOLD, MOST_TOLD, PostClusters, expect, post_state

N_POSTS, N_WORDS, SHOWN, RATE = 600, 60, 80, 0.1
KNOWN = N_POSTS // 2  # posts from here on come later


def _network(spread: float, seed: int = 1) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """Texts of six words, each with an effect on the logarithm of the quality; likes; quality."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, spread, N_WORDS)
    words = np.stack([rng.choice(N_WORDS, 6, replace=False) for _ in range(N_POSTS)])
    quality = np.exp(effect[words].sum(1))
    texts = [" ".join(f"word{w}" for w in row) for row in words]
    design, _ = text_design(texts, np.zeros(N_POSTS, np.int64), 100, np.empty((N_POSTS, 0)))
    return design, rng.binomial(SHOWN, np.minimum(RATE * quality, 0.9)), quality


def _known(liked: np.ndarray, shown: int = SHOWN) -> Tally:
    """Counts of one segment in which later posts have nothing."""
    is_known = (np.arange(N_POSTS) < KNOWN)[None]
    return Tally(shown * is_known.astype(np.int64), np.where(is_known, liked, 0))


def _fit(spread: float) -> tuple[PostClusters, Tally, np.ndarray]:
    design, liked, quality = _network(spread)
    counts = _known(liked)
    return fit_clusters(counts, design, n_clusters=6, seed=1), counts, quality


def test_a_later_post_of_words_that_are_liked_leads_by_as_much_as_they_tell() -> None:
    clusters, counts, quality = _fit(0.3)
    rate, true = np.log(post_state(clusters, counts).rate[0, KNOWN:]), np.log(quality[KNOWN:])
    assert np.corrcoef(rate, true)[0, 1] > 0.9
    assert (rate - true).std() < 0.5 * true.std()
    best = np.argsort(-rate)[:30]
    assert quality[KNOWN:][best].mean() > 2 * quality[KNOWN:].mean()


def test_what_words_tell_is_no_longer_a_difference_between_posts() -> None:
    clusters, counts, _ = _fit(0.3)
    assert clusters.tells_quality
    untold = replace(clusters, text_quality=np.ones(1))
    spread = [post_state(c, counts).quality[:KNOWN].std() for c in (clusters, untold)]
    assert clusters.quality_strength > 10
    assert spread[0] > 1.5 * spread[1]


@pytest.mark.parametrize("seed", range(4))
def test_texts_that_tell_nothing_leave_every_post_of_quality_1(seed: int) -> None:
    design, *_ = _network(0.3, seed)
    rng = np.random.default_rng(seed)
    liked = rng.binomial(SHOWN, RATE * np.exp(rng.normal(0, 0.3, N_POSTS)))
    clusters = fit_clusters(_known(liked), design, n_clusters=6, seed=1)
    assert not clusters.tells_quality
    np.testing.assert_array_equal(clusters.text_quality, [1])


def test_quality_of_a_text_is_within_its_bounds_and_that_of_its_weights() -> None:
    clusters, _, _ = _fit(0.8)
    told, design = clusters.text_quality, _network(0.8)[0]
    assert LEAST_TOLD == told.min() < 1 < told.max() <= MOST_TOLD
    weighed = np.clip(1 + design @ clusters.quality_of_text, LEAST_TOLD, MOST_TOLD)
    np.testing.assert_allclose(told, weighed)


def test_quality_has_the_mean_that_texts_tell_and_follows_likes() -> None:
    told, shown = np.array([0.5, 2.0, 2.0]), np.array([[0, 0, 50_000]])
    gate, rate = np.zeros((3, 1)), np.array([[RATE]])
    counts = Tally(shown, np.array([[0, 0, 5_000]]))
    _, quality = expect(counts, gate, rate, 20.0, text_quality=told)
    np.testing.assert_allclose(quality[:, 0], [0.5, 2.0, 1.0], rtol=0.01)
    _, some = expect(counts, gate, rate, 20.0, np.array([1, 2]), told)
    np.testing.assert_array_equal(some, quality[1:])


def test_topics_tell_quality_where_words_say_nothing() -> None:
    rng = np.random.default_rng(3)
    texts = [" ".join(f"word{w}" for w in rng.choice(N_WORDS, 6)) for _ in range(N_POSTS)]
    topic = rng.integers(0, 20, N_POSTS)
    quality = np.exp(rng.normal(0, 0.5, 20))[topic]
    design, vocabulary = text_design(texts, topic, 100, np.empty((N_POSTS, 0)))
    liked = rng.binomial(SHOWN, np.minimum(RATE * quality, 0.9))
    clusters = fit_clusters(_known(liked), design, n_clusters=1, seed=1)
    told = clusters.text_quality[KNOWN:]
    assert np.corrcoef(told, quality[KNOWN:])[0, 1] > 0.9
    n_fixed = n_fixed_columns(design)
    assert n_fixed == vocabulary.n_topics + 1
    by_topic, by_word = (
        (design[:, part] @ clusters.quality_of_text[part]).std()
        for part in (slice(0, n_fixed), slice(n_fixed, None))
    )
    assert by_word < 0.2 * by_topic


def test_posts_too_few_to_tell_are_of_quality_1() -> None:
    design, liked, _ = _network(0.3)
    counts = Tally(np.full((1, 1), SHOWN), liked[None, :1])
    clusters = fit_clusters(counts, design[:1], n_clusters=6, seed=1)
    assert not clusters.tells_quality
