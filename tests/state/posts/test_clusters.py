from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from feedrank.learning.posts.clusters import fit_clusters
from feedrank.learning.texts.design import text_design, topic_codes
from feedrank.state.counts.tally import Tally
from feedrank.state.posts.clusters import PostClusters, expect, post_state
from feedrank.stats.shrinkage import STRONGEST
from tests.support.simulated_logs import posts_table

N_SEGMENTS, PER_GROUP = 3, 30
# Three kinds of posts, each liked by one segment.
RATE = np.array([[0.3, 0.08, 0.08], [0.08, 0.3, 0.08], [0.08, 0.08, 0.3]])
KIND = np.repeat(np.arange(3), PER_GROUP)
WORDS = ["budget bank shares", "film actor premiere", "goal striker cup"]


def _posts(kind: np.ndarray, says: bool = True) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "post_id": np.arange(len(kind)),
            "text": [f"the {WORDS[k]} today" if says else "" for k in kind],
            "topic": "news",
        }
    )


def _counts(shown: int | np.ndarray, seed: int = 0, quality: np.ndarray | float = 1.0) -> Tally:
    rng = np.random.default_rng(seed)
    n_shown = np.broadcast_to(shown, (N_SEGMENTS, len(KIND))).astype(np.int64)
    return Tally(n_shown, rng.binomial(n_shown, np.minimum(RATE[:, KIND] * quality, 1)))


def _design(posts: pd.DataFrame, vocabulary: int) -> csr_matrix:
    none = np.empty((len(posts), 0))
    return text_design(posts["text"], topic_codes(posts["topic"]), vocabulary, none)[0]


def _fit(counts: Tally, posts: pd.DataFrame, n_clusters: int = 3) -> PostClusters:
    return fit_clusters(counts, _design(posts, 100), n_clusters, seed=1)


def _agreement(cluster: np.ndarray) -> float:
    """Share of posts whose cluster is the most frequent one of their kind."""
    return float(np.mean([np.bincount(cluster[k == KIND]).max() / PER_GROUP for k in range(3)]))


def _nothing(n_posts: int = len(KIND)) -> Tally:
    return Tally(*np.zeros((2, N_SEGMENTS, n_posts), np.int64))


@pytest.mark.parametrize("says", [True, False], ids=["with texts", "without texts"])
def test_posts_that_the_same_people_like_are_one_cluster(says: bool) -> None:
    clusters = _fit(_counts(400), _posts(KIND, says))
    assert _agreement(clusters.cluster) > 0.95
    assert len(np.unique(clusters.cluster)) == 3


def test_a_group_s_rate_is_found() -> None:
    clusters = _fit(_counts(400), _posts(KIND))
    of = [np.bincount(clusters.cluster[k == KIND]).argmax() for k in range(3)]
    np.testing.assert_allclose(clusters.rate[:, of], RATE, atol=0.03)


def test_whom_a_post_is_shown_to_tells_its_group_where_likes_are_few() -> None:
    rng = np.random.default_rng(4)
    often = np.where(np.arange(N_SEGMENTS)[:, None] == KIND, 60, 20)  # to those who like its kind
    told, untold = rng.poisson(often), rng.poisson(100 / 3, often.shape)
    found = []
    for shown in (told, untold):
        counts = Tally(shown, rng.binomial(shown, 0.06 + 0.05 * (often > 20)))
        found.append(_agreement(_fit(counts, _posts(KIND, says=False)).cluster))
    assert found[0] > 0.9
    assert found[0] > found[1] + 0.2


def test_a_post_without_history_borrows_from_its_text() -> None:
    shown = np.full(len(KIND), 400)
    shown[::5] = 0
    counts = _counts(shown)
    clusters = _fit(counts, _posts(KIND))
    rate = post_state(clusters, counts).rate
    unseen = np.flatnonzero(shown == 0)
    assert (rate[:, unseen].argmax(0) == KIND[unseen]).all()
    without = post_state(_fit(counts, _posts(KIND, says=False)), counts).rate
    assert np.ptp(without[:, unseen], axis=0).max() < np.ptp(rate[:, unseen], axis=0).min()


def test_history_speaks_louder_than_text() -> None:
    counts = _counts(4000)
    misled = _posts(KIND[::-1].copy())
    clusters = _fit(counts, _posts(KIND))
    design = _design(misled, 100)
    assert design.shape[0] == len(KIND)
    wrong = replace(clusters, log_gate=clusters.log_gate[::-1].copy())
    assert (post_state(wrong, counts).rate.argmax(0) == KIND).all()


def test_likes_count_less_than_alone_since_they_made_the_rates_that_judge_them() -> None:
    """Against the log-odds of two clusters by Poisson likes scattering as Bernoulli ones do."""
    rate = np.array([[0.10, 0.14]])
    counts = Tally(np.array([[500]]), np.array([[62]]))
    belonging, _ = expect(counts, np.log([[0.5, 0.5]]), rate, STRONGEST)
    alone = (62 * np.log(0.14 / 0.10) - 500 * 0.04) / (1 - 63 / 510)
    share = np.log(belonging[0, 1] / belonging[0, 0]) / alone
    assert 0.5 < share < 0.75


def test_a_well_liked_post_has_more_quality_and_more_history_moves_it_further() -> None:
    quality = np.where(np.arange(len(KIND)) % 2, 1.5, 0.5)
    clusters = _fit(_counts(400, quality=quality), _posts(KIND))
    spread = []
    for shown in (20, 200, 4000):
        found = post_state(clusters, _counts(shown, seed=2, quality=quality)).quality
        spread.append(found[quality > 1].mean() - found[quality < 1].mean())
    assert 0 < spread[0] < spread[1] < spread[2]
    assert spread[2] == pytest.approx(1.0, abs=0.25)


def test_without_evidence_only_text_and_the_warm_up_speak() -> None:
    clusters = _fit(_counts(400), _posts(KIND))
    state = post_state(clusters, _nothing())
    np.testing.assert_allclose(state.quality, 1)
    np.testing.assert_allclose(state.rate, clusters.rate @ np.exp(clusters.log_gate).T)


def test_a_rate_is_always_a_probability() -> None:
    rng = np.random.default_rng(3)
    shown = rng.integers(0, 9, (N_SEGMENTS, len(KIND)))
    for liked in (np.zeros_like(shown), shown, rng.binomial(shown, 0.5)):
        counts = Tally(shown, liked)
        state = post_state(_fit(counts, _posts(KIND)), counts)
        for table in (state.rate, state.base):
            assert np.isfinite(table).all()
            assert (table > 0).all()
        assert (state.base < 1).all()


def test_segments_split_the_evidence_but_do_not_change_a_post_of_one_segment() -> None:
    counts = _counts(400)
    whole = Tally(counts.shown.sum(0, keepdims=True), counts.liked.sum(0, keepdims=True))
    state = post_state(_fit(whole, _posts(KIND)), whole)
    assert state.rate.shape == (1, len(KIND))


@pytest.mark.parametrize("n_clusters", [1, 3, 200])
def test_there_are_never_more_groups_than_posts(n_clusters: int) -> None:
    clusters = _fit(_counts(100), _posts(KIND), n_clusters)
    assert clusters.rate.shape[1] == min(n_clusters, len(KIND))
    assert clusters.cluster.max() < clusters.rate.shape[1]


@pytest.mark.parametrize("n_posts", [1, 2, 7])
def test_posts_that_nothing_tells_apart_are_fitted_all_the_same(n_posts: int) -> None:
    posts = posts_table(n_posts, topics=1, words=False)
    counts = Tally(*np.ones((2, N_SEGMENTS, n_posts), np.int64))
    clusters = fit_clusters(counts, _design(posts, 10), n_clusters=5, seed=1)
    np.testing.assert_allclose(np.exp(clusters.log_gate).sum(1), 1)


def test_fitting_twice_gives_the_same_bits() -> None:
    first, second = (_fit(_counts(50), _posts(KIND)) for _ in range(2))
    for name, value in vars(first).items():
        np.testing.assert_array_equal(value, getattr(second, name))


def test_topics_are_coded_by_how_many_posts_they_have() -> None:
    posts = pd.DataFrame({"topic": ["b", "a", "b", "c", "a", "b", "c"]})
    assert topic_codes(posts["topic"]).tolist() == [0, 1, 0, 2, 1, 0, 2]


def test_topics_of_a_single_post_share_a_code() -> None:
    posts = pd.DataFrame({"topic": ["b", "a", "b", "c", "d", "e"]})
    assert topic_codes(posts["topic"]).tolist() == [0, 1, 0, 1, 1, 1]
    assert topic_codes(posts["topic"][3:]).tolist() == [0, 0, 0]


def test_topics_beyond_many_share_a_code() -> None:
    codes = topic_codes(pd.concat([posts_table(600, topics=600)["topic"]] * 2))
    assert codes.max() == 511
    assert np.sum(codes == 511) == 2 * (600 - 511)


def test_a_design_without_vocabulary_has_no_words() -> None:
    posts = pd.DataFrame({"text": ["one two", "two one"], "topic": ["a", "a"]})
    assert _design(posts, 2).shape == (2, 4)
    assert _design(posts, 0).shape == (2, 2)  # a topic and the constant


def test_the_text_design_has_a_column_for_each_topic_and_shared_word() -> None:
    posts = pd.DataFrame({"text": ["bank shares", "bank goal", "lonely"], "topic": ["a", "b", "b"]})
    design = _design(posts, 100).toarray()
    # Two topics, a constant, and the one word that stands in two texts.
    assert design.shape == (3, 4)
    assert design[:, :3].tolist() == [[0, 1, 1], [1, 0, 1], [1, 0, 1]]
    assert (design[:, 3] > 0).tolist() == [True, True, False]


def test_the_vocabulary_is_bounded() -> None:
    posts = pd.DataFrame({"text": ["one two three four five"] * 4, "topic": "a"})
    assert _design(posts, 3).shape[1] == 1 + 1 + 3
