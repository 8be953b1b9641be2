from __future__ import annotations

from dataclasses import replace

import numpy as np

from feedrank.live.events import NewPost
from feedrank.live.live_store import LiveStore
from feedrank.log.embeddings import EMBEDDING
from feedrank.ranking.similarity import similar_posts
from feedrank.schema import TOPIC
from feedrank.state.catalogue import Texts
from tests.support.simulated_logs import Learned, named, pictured

N_DRAWN = 200_000  # users


def _users_tastes(learned: Learned) -> np.ndarray:
    """Log ratios of users drawn from the priors for every post, shape (n_users, n_posts)."""
    store, rng = learned.store, np.random.default_rng(4)
    state = store.states.as_of(store.shared.n_steps)
    strengths, factors = state.refit.strengths, state.refit.factors.post

    def drawn(n: int, strength: float) -> np.ndarray:
        return rng.normal(0, strength**-0.5, (N_DRAWN, n))

    clusters = drawn(len(state.membership), strengths.user_cluster) @ state.membership
    topics = drawn(store.fitted.n_topics, strengths.user_topic)[:, store.fitted.topic]
    words = state.refit.words
    of_words = np.hstack([drawn(1, s) for s in words.strength] + [np.zeros((N_DRAWN, 1))])
    named = np.sum([of_words[:, row] for row in words.rows], axis=0)
    return np.asarray(clusters + topics + named + drawn(factors.shape[1], 1.0) @ factors.T)


def test_the_similarity_is_the_correlation_of_tastes_over_users(learned: Learned) -> None:
    posts = np.arange(0, len(learned.log.posts), 9)
    tastes = _users_tastes(learned)[:, [4, *posts]]
    correlation = np.corrcoef(tastes, rowvar=False)[0, 1:]
    rows, similarity = similar_posts(learned.store, 4, 1_000, posts)
    expected = dict(zip(posts.tolist(), correlation.tolist(), strict=True))
    assert sorted(rows.tolist()) == posts.tolist()
    assert np.allclose(similarity, [expected[row] for row in rows.tolist()], atol=0.01)
    assert similarity.tolist() == sorted(similarity.tolist(), reverse=True)
    assert len(set(np.round(similarity, 1).tolist())) > 1


def test_posts_of_one_taste_word_are_more_similar() -> None:
    learned = named()
    words = learned.store.fitted.refits[-1].words.rows
    test_the_similarity_is_the_correlation_of_tastes_over_users(learned)
    rows, similarity = similar_posts(learned.store, 4, 1_000, np.arange(250))
    is_shared = (words[:, rows] == words[0, 4]).any(0)
    assert similarity[is_shared].min() > similarity[~is_shared].mean()


def test_a_post_is_not_similar_to_itself_and_fewer_are_found_than_asked(learned: Learned) -> None:
    rows, _ = similar_posts(learned.store, 4, 5, np.array([3, 4, 9]))
    assert sorted(rows.tolist()) == [3, 9]


def test_equally_similar_posts_are_ordered_by_quality(learned: Learned) -> None:
    store = learned.store
    rows, similarity = similar_posts(store, 4, 1_000, np.arange(len(learned.log.posts)))
    quality = store.states.as_of(store.shared.n_steps).quality[rows]
    ties = np.flatnonzero(np.diff(similarity) == 0)
    assert len(ties) > 0
    assert (quality[ties] >= quality[ties + 1]).all()


def test_topics_that_share_a_code_make_posts_no_more_similar(learned: Learned) -> None:
    store = learned.store
    shared = np.flatnonzero(store.fitted.topic == store.fitted.n_topics - 1)
    names = [store.topic[row] for row in range(len(learned.log.posts))]
    names[shared[3]], names[shared[5]] = "alone", "alone"
    names[shared[0]], names[shared[1]] = "first", "second"
    apart = replace(store, topic=Texts.of(names))
    for post, like_it in ((shared[0], None), (shared[3], shared[5])):
        of_one = dict(zip(*similar_posts(store, post, 1_000, shared), strict=True))
        found = dict(zip(*similar_posts(apart, post, 1_000, shared), strict=True))
        assert all(found[row] < of_one[row] for row in found if row != like_it)
        assert like_it is None or found[like_it] == of_one[like_it]


def test_a_new_post_is_most_similar_to_the_known_one_of_its_embedding() -> None:
    learned = pictured()
    vectors = learned.log.posts[EMBEDDING]
    known = np.flatnonzero(vectors.notna())
    some, n_posts = known[::9].tolist(), len(vectors)
    topics = learned.log.posts[TOPIC]
    live = LiveStore(learned.store)
    live.apply(posts=[NewPost(i, 10**6 + i, "", topics[i], vectors[i]) for i in some])
    found = [similar_posts(live.store(), n_posts + n, 5, known)[0] for n in range(len(some))]
    assert np.mean([row in five for row, five in zip(some, found, strict=True)]) > 0.8
