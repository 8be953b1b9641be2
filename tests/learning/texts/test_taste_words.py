from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm

from feedrank.learning.posts.fit import fit_posts
from feedrank.learning.texts import taste_words as module
from feedrank.learning.texts.design import text_design, topic_codes
from feedrank.learning.texts.taste_words import TextWords, find_taste_words, tastes_of
from feedrank.log.embeddings import embeddings_of
from feedrank.state.counts.tally import tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.taste_words import TasteWords
from tests.support.network.taste_samples import likes
from tests.support.simulated_logs import DEFAULTS

N_USERS, N_POSTS, N_WORDS, RATE = 800, 200, 60, 0.12
HAS = np.random.default_rng(0).random((N_POSTS, N_WORDS)) < 0.06


def _sample(spread: np.ndarray, seed: int = 1, views: int = 120) -> InteractionSample:
    """Likes of users whose log ratios of words have these spreads."""
    tastes = np.random.default_rng(seed).normal(0, spread, (N_USERS, N_WORDS))
    return likes(tastes @ HAS.T.astype(float) - 0.1, views, RATE, seed)


def _found(sample: InteractionSample) -> tuple[np.ndarray, np.ndarray]:
    of_user = np.bincount(sample.user, sample.liked) / np.bincount(sample.user)
    of_post = np.bincount(sample.post, sample.liked) / np.bincount(sample.post)
    expected = of_user[sample.user] * of_post[sample.post] / sample.liked.mean()
    has = csr_matrix(HAS.astype(np.float32))
    return tastes_of(sample, np.minimum(expected, 0.99), has)


def _spread_of(n: int, spread: float) -> np.ndarray:
    return np.where(np.arange(N_WORDS) < n, spread, 0.0)


def test_words_in_which_users_differ_are_found() -> None:
    words, strength = _found(_sample(_spread_of(5, 0.7)))
    assert set(range(5)) <= {*words.tolist()}
    assert {*words[:5].tolist()} == set(range(5))
    # A ratio exp(N(0, s^2)) varies by exp(s^2) - 1, and a strength is 1 over that.
    assert 1 / np.expm1(0.7**2) / 1.6 < np.median(strength[:5]) < 1.6 / np.expm1(0.7**2)


def test_stronger_tastes_have_less_strength() -> None:
    words, strength = _found(_sample(np.where(np.arange(N_WORDS) < 3, 1.0, _spread_of(6, 0.4))))
    of = dict(zip(words.tolist(), strength.tolist(), strict=True))
    assert max(of[w] for w in range(3)) < min(of[w] for w in range(3, 6))


@pytest.mark.parametrize("seed", range(5))
def test_chance_rarely_finds_a_word(seed: int) -> None:
    words, _ = _found(_sample(_spread_of(0, 0), seed))
    assert len(words) <= 1


def test_words_that_all_users_like_more_say_nothing_of_one() -> None:
    level = np.where(np.arange(N_WORDS) < 5, 0.8, 0.0)
    flat = likes(np.tile(level @ HAS.T.astype(float), (N_USERS, 1)), 120, RATE, 3)
    expected = np.full(len(flat), RATE)  # which knows no post
    assert len(tastes_of(flat, expected, csr_matrix(HAS.astype(np.float32)))[0]) <= 1


@pytest.mark.parametrize(("name", "value"), [("MOST_STRENGTH", 2.0), ("MOST_WORDS", 2)])
def test_of_the_words_found_the_surest_and_strongest_are_kept(
    monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    sample = _sample(np.where(np.arange(N_WORDS) >= N_WORDS - 2, 1.1, _spread_of(4, 0.5)))
    found, strength = _found(sample)
    assert {*found[:2].tolist()} == {N_WORDS - 2, N_WORDS - 1}
    assert strength.min() >= module.LEAST_STRENGTH
    monkeypatch.setattr(module, name, value)
    assert {*_found(sample)[0].tolist()} == {N_WORDS - 2, N_WORDS - 1}


def test_a_post_liked_again_and_again_is_no_taste_of_its_words() -> None:
    tastes = np.random.default_rng(3).normal(0, 1, (300, 150))
    text = [f"w{a} w{b}" for a, b in np.random.default_rng(4).integers(0, 60, (150, 2))]
    assert len(_network(text, ["one"] * 150, tastes)[0]) <= 1


def test_a_time_in_which_a_user_likes_more_is_no_taste() -> None:
    rng, n_posts = np.random.default_rng(5), 240
    at = np.arange(n_posts) / n_posts  # each post has its time, and some words with it
    text = [f"w{p // 20} other{rng.integers(0, 30)}" for p in range(n_posts)]
    drift = rng.normal(0, 1, (400, 1)) * (2 * at - 1)
    sample = likes(drift, 150, RATE, 6)
    sample = sample[np.lexsort((sample.post, sample.user))]
    sample = replace(sample, step=sample.post.astype(np.uint8))
    assert len(_network_of(sample, text, ["one"] * n_posts)[0]) <= 1


def test_rare_words_need_more_than_one_user_who_likes_two() -> None:
    # A word of two posts, which few see: a single user who likes both is no taste.
    has = np.zeros((N_POSTS, 40), np.float32)
    has[np.arange(80), np.arange(80) // 2] = 1
    sample = likes(np.zeros((100, N_POSTS)), 60, 0.1, 4)
    found = [
        len(tastes_of(_with_a_fan(sample, seed), np.full(len(sample), 0.1), csr_matrix(has))[0])
        for seed in range(4)
    ]
    assert sum(found) <= 1


def test_chance_counts_pairs_of_likes() -> None:
    # Of a word that lets expect a two-hundredth of a pair, one pair is by chance once in 200 logs;
    # of many pairs, three standard deviations more once in 740.
    many = 10_000.0
    excess, variance = np.array([1.0, 3 * np.sqrt(many), -1.0]), np.array([0.005, many, 1.0])
    found = module._chance(excess, variance, np.zeros(3))
    np.testing.assert_allclose(found, [0.005, norm.sf(3), 1], rtol=0.1)


def test_few_users_of_many_likes_are_as_likely_by_chance_as_nominal() -> None:
    rng, n_users, views, n_words = np.random.default_rng(7), 10, 3_000, 3_000
    share = np.full((1, n_words), 1 / n_words) * np.ones((n_users, 1))
    likes = rng.binomial(views, 0.1 * share * n_words / 20, (n_users, n_words)) * 1.0
    told = np.full((n_users, n_words), views * 0.1 / 20)
    dispersion = 1 - 0.1 / 20
    excess = ((likes - told) ** 2 - dispersion * likes).sum(0) / 2
    variance, cube = dispersion**2 * (told**2).sum(0) / 2, dispersion**3 * (told**3).sum(0)
    found = module._chance(excess, variance, cube)
    assert (found < 0.002).mean() < 0.005
    assert (module._chance(excess, variance, 0 * cube) < 0.002).mean() > 0.005


def _with_a_fan(sample: InteractionSample, word: int) -> InteractionSample:
    """The same, with a user who likes both posts of a word."""
    is_fan = (sample.user == word) & np.isin(sample.post // 2, [word])
    return replace(sample, liked=sample.liked | is_fan)


def _network(text: list[str], topic: list[str], tastes: np.ndarray) -> tuple[TasteWords, list[str]]:
    return _network_of(likes(tastes, 150, RATE, 2), text, topic)


def _network_of(
    sample: InteractionSample, text: list[str], topic: list[str]
) -> tuple[TasteWords, list[str]]:
    codes = topic_codes(pd.Series(topic))
    no_vectors = embeddings_of(pd.DataFrame({"text": text}))
    texts, vocabulary = text_design(text, codes, 100, no_vectors)
    counts = tally(sample.post, sample.liked, len(text)).reshape(1, -1)
    params = replace(DEFAULTS.features, clusters=1, factors=0)
    (posts,) = fit_posts(counts, sample, texts, np.empty((len(text), 0)), params)
    words = TextWords.of(texts, len(vocabulary.words), codes)
    found = find_taste_words(words, posts, counts, sample)
    assert (found.column > codes.max()).all()
    names = [vocabulary.words[c - codes.max() - 2] for c in found.column.tolist()]
    return found, names


def test_a_refit_finds_names_and_leaves_out_what_topics_tell() -> None:
    rng = np.random.default_rng(5)
    name, topic = rng.integers(0, 6, 150), rng.integers(0, 3, 150)
    text = [f"every text of name{n} on theme{t}" for n, t in zip(name, topic, strict=True)]
    tastes = rng.normal(0, 0.9, (500, 6))[:, name] + rng.normal(0, 0.9, (500, 3))[:, topic]
    found, names = _network(text, [f"topic {t}" for t in topic], tastes)
    assert {*names} == {f"name{n}" for n in range(6)}
    of_first = found.of_post[:, 0]
    assert names[of_first[0]] == f"name{name[0]}"
    assert (of_first[1:] == len(found)).all()
    _, names = _network(text, ["one"] * 150, tastes)
    assert {f"theme{t}" for t in range(3)} <= {*names}


def test_a_large_sample_is_thinned_by_users(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, has = _sample(_spread_of(0, 0)), csr_matrix(HAS.astype(np.float32))
    n_cells = np.diff(has.indptr)[sample.post].sum()
    assert module._thinned(sample, has) is sample
    monkeypatch.setattr(module, "MOST_CELLS", n_cells // 3)
    some = module._thinned(sample, has)
    assert np.diff(has.indptr)[some.post].sum() <= n_cells // 3 * 1.1
    users, n = np.unique(some.user, return_counts=True)
    np.testing.assert_array_equal(n, 120)  # with the whole of their histories
    assert 200 <= len(users) < N_USERS / 3
