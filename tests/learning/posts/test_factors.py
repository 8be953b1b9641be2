from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, identity

from feedrank.learning.posts import factors
from feedrank.learning.posts.factors import LEAST_SPREAD, fit_factors, text_components
from feedrank.learning.posts.sample import expected_likes, user_post_matrix
from feedrank.state.history import InteractionSample
from tests.support.network.taste_samples import likes

N_USERS, N_POSTS, RATE = 900, 150, 0.2
NO_TEXT = csr_matrix(np.ones((N_POSTS, 1)))


def _planted(seed: int = 0, spread: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N_USERS, 2)), rng.normal(0, spread, (N_POSTS, 2))


def _fit(sample: InteractionSample, texts: csr_matrix = NO_TEXT, most: int = 6) -> np.ndarray:
    expected = expected_likes(sample, np.full((1, N_POSTS), RATE))
    return fit_factors(sample, expected, text_components(texts, 1), most, seed=1)


def _explained(found: np.ndarray, true: np.ndarray) -> float:
    """Share of the variance of true positions that lies in the found directions."""
    left = true - found @ np.linalg.lstsq(found, true, rcond=None)[0]
    return float(1 - (left**2).sum() / (true**2).sum())


def test_directions_in_which_users_differ_are_found() -> None:
    users, posts = _planted()
    found = _fit(likes(users @ posts.T, 200, RATE, seed=1))
    assert found.shape[1] >= 2  # a large log ratio bends, and its square is one more
    assert _explained(found, posts) > 0.8
    # Users are spread with variance 1, so that posts are where they truly are.
    assert 0.6 < (found**2).sum() / (posts**2).sum() < 1.4


@pytest.mark.parametrize("seed", range(5))
def test_chance_alone_has_no_direction(seed: int) -> None:
    sample = likes(np.zeros((N_USERS, N_POSTS)), 200, RATE, seed)
    assert _fit(sample).shape == (N_POSTS, 0)


@pytest.mark.parametrize(("spread", "n_draws"), [(0.0, 1), (0.6, factors.NULL_DRAWS)])
def test_chance_is_drawn_again_only_while_something_exceeds_it(
    monkeypatch: pytest.MonkeyPatch, spread: float, n_draws: int
) -> None:
    made: list[csr_matrix] = []

    def counted(*of: Any) -> csr_matrix:
        made.append(user_post_matrix(*of))
        return made[-1]

    monkeypatch.setattr(factors, "user_post_matrix", counted)
    users, posts = _planted(spread=spread)
    found = _fit(likes(users @ posts.T, 200, RATE, seed=1))
    assert len(made) == 2 + n_draws  # beside the surplus and its variance
    assert (found.shape[1] > 0) == (spread > 0)


def test_users_who_like_more_of_everything_are_no_direction() -> None:
    often = np.random.default_rng(0).normal(0, 0.5, (N_USERS, 1))
    assert _fit(likes(np.tile(often, N_POSTS), 200, RATE, seed=2)).shape[1] == 0


def test_a_post_that_was_never_shown_stands_where_its_text_says() -> None:
    users, _ = _planted()
    word = np.random.default_rng(5).integers(0, 5, N_POSTS)
    posts = np.random.default_rng(6).normal(0, 0.7, (5, 2))[word]
    sample = likes(users @ posts.T, 200, RATE, seed=1)
    hidden = np.arange(10)
    found = _fit(sample[~np.isin(sample.post, hidden)], csr_matrix(np.eye(5)[word]))
    spread = np.abs(found).max()
    for post in hidden:
        alike = found[10:][word[10:] == word[post]].mean(0)
        np.testing.assert_allclose(found[post], alike, atol=0.25 * spread)


def test_texts_tell_directions_that_likes_alone_are_too_few_for() -> None:
    users, _ = _planted()
    word = np.random.default_rng(5).integers(0, 4, N_POSTS)
    posts = 0.25 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])[word]
    sample = likes(users @ posts.T, 30, RATE, seed=1)
    assert _fit(sample).shape[1] == 0
    found = _fit(sample, csr_matrix(np.eye(4)[word]))
    assert found.shape[1] == 2
    assert _explained(found, posts) > 0.9


def test_no_more_directions_than_asked_for() -> None:
    users, posts = _planted()
    sample = likes(users @ posts.T, 200, RATE, seed=1)
    assert _fit(sample, most=1).shape[1] == 1
    assert _fit(sample, most=0).shape == (N_POSTS, 0)


def test_directions_that_hardly_matter_are_left_out() -> None:
    users, posts = _planted(spread=LEAST_SPREAD / 3)
    assert _fit(likes(users @ posts.T, 400, RATE, seed=1)).shape[1] == 0


def test_a_log_of_one_user_or_without_likes_has_none() -> None:
    sample = likes(np.zeros((1, N_POSTS)), 30, RATE, seed=1)
    assert _fit(sample).shape[1] == 0
    unliked = replace(sample, liked=np.zeros_like(sample.liked))
    assert _fit(unliked).shape == (N_POSTS, 0)


def test_more_words_than_posts_are_no_trouble() -> None:
    users, posts = _planted()
    found = _fit(likes(users @ posts.T, 200, RATE, seed=1), csr_matrix(identity(N_POSTS)))
    assert _explained(found, posts) > 0.7
