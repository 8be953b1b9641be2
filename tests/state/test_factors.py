from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.state.posts.factors import POST_UNIT, RATE_UNIT, Factors, UserEvidence, ridge

N_USERS, N_POSTS, D = 5, 12, 3
RNG = np.random.default_rng(3)
FACTORS = Factors.of(RNG.normal(0, 0.7, (N_POSTS, D)), RNG.uniform(0.01, 0.6, (2, N_POSTS)))
SEGMENT = np.array([0, 1, 0, 1, 1])
VIEWS = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_POSTS - 1), st.integers(0, 1)),
    max_size=80,
)


def _learned(views: np.ndarray, edges: list[int]) -> UserEvidence:
    evidence = UserEvidence(FACTORS, SEGMENT)
    for low, high in zip([0, *edges], [*edges, len(views)], strict=True):
        user, post, liked = views[low:high].T
        evidence.update(user, post, liked.astype(np.uint8))
    return evidence


@given(VIEWS, st.lists(st.integers(0, 80), max_size=4))
def test_any_split_and_order_of_the_history_gives_the_same_bits(
    views: list[tuple[int, int, int]],
    cuts: list[int],
) -> None:
    rows = np.array(views, dtype=np.int64).reshape(-1, 3)
    edges = sorted(min(cut, len(rows)) for cut in cuts)
    shuffled = rows[np.random.default_rng(len(rows)).permutation(len(rows))]
    users = np.arange(N_USERS)
    at_once = _learned(rows, []).factors_of(users, 9.0)
    for other in (_learned(rows, edges), _learned(shuffled, edges)):
        assert np.array_equal(other.factors_of(users, 9.0), at_once)


def test_positions_are_those_of_a_ridge_regression() -> None:
    """Of likes on factors, each weighted by its variance under segment and like rate."""
    rng = np.random.default_rng(0)
    views = np.stack([rng.integers(0, n, 300) for n in (N_USERS, N_POSTS, 2)], axis=1)
    found = _learned(views, []).factors_of(np.arange(N_USERS), 9.0)
    for user, segment in enumerate(SEGMENT):
        _, post, liked = views[views[:, 0] == user].T
        rate, x = FACTORS.rate[segment, post], FACTORS.post[post]
        own = (liked.sum() + 9) / (rate.sum() + 9)
        information = (x.T * own * rate * (1 - rate)) @ x + np.eye(D)
        expected = np.linalg.solve(information, x.T @ (liked - own * rate))
        np.testing.assert_allclose(found[user], expected, atol=1e-3)


def test_a_user_alone_stands_where_the_same_user_among_others_does() -> None:
    rng = np.random.default_rng(0)
    views = np.stack([rng.integers(0, n, 300) for n in (N_USERS, N_POSTS, 2)], axis=1)
    together = _learned(views, []).factors_of(np.arange(N_USERS), 9.0)
    for user in range(N_USERS):
        alone = UserEvidence(FACTORS, SEGMENT[user : user + 1])
        own = views[views[:, 0] == user]
        alone.update(np.zeros(len(own), np.int64), own[:, 1], own[:, 2].astype(np.uint8))
        assert np.array_equal(alone.factors_of(np.arange(1), 9.0)[0], together[user])


def test_without_history_a_user_stands_in_the_middle() -> None:
    assert not UserEvidence(FACTORS, SEGMENT).factors_of(np.arange(N_USERS), 9.0).any()


def test_without_factors_there_is_no_position() -> None:
    evidence = UserEvidence(Factors.of(np.empty((N_POSTS, 0)), FACTORS.rate), SEGMENT)
    evidence.update(np.array([0]), np.array([1]), np.array([1], np.uint8))
    assert evidence.factors_of(np.array([0, 1]), 9.0).shape == (2, 0)


def test_positions_are_found_from_many_likes() -> None:
    """A user who likes by `exp(z @ v)` is found near z, and z without its sign is not."""
    rng = np.random.default_rng(1)
    z = np.array([0.8, -0.5, 0.0])
    factors = Factors.of(rng.normal(0, 0.5, (400, D)), np.full((1, 400), 0.05))
    post = rng.integers(0, 400, 20_000)
    liked = rng.random(len(post)) < 0.05 * np.exp(factors.post[post] @ z)
    evidence = UserEvidence(factors, np.zeros(1, np.int64))
    evidence.update(np.zeros(len(post), np.int64), post, liked.astype(np.uint8))
    found = evidence.factors_of(np.arange(1), 50.0)[0]
    np.testing.assert_allclose(found, z, atol=0.25)


def test_liking_everything_more_often_says_nothing_of_taste() -> None:
    rng = np.random.default_rng(1)
    factors = Factors.of(rng.normal(0.4, 0.5, (400, D)), np.full((1, 400), 0.05))
    post = np.tile(np.arange(400), 50)
    liked = (rng.random(len(post)) < 0.15).astype(np.uint8)
    evidence = UserEvidence(factors, np.zeros(1, np.int64))
    evidence.update(np.zeros(len(post), np.int64), post, liked)
    assert np.abs(evidence.factors_of(np.arange(1), 5.0)).max() < 0.15


def test_values_are_whole_units_so_that_sums_are_exact() -> None:
    for values, unit in ((FACTORS.post, POST_UNIT), (FACTORS.rate, RATE_UNIT)):
        assert np.array_equal(values / unit, np.round(values / unit))
    far = Factors.of(np.full((1, 1), 1e9), np.zeros((1, 1)))
    assert far.post[0, 0] == 8
    assert far.rate[0, 0] == RATE_UNIT


def test_a_rate_above_1_leaves_no_impression_without_variance() -> None:
    """Quality may lift a rate above 1; a negative variance would turn the user around."""
    factors = Factors.of(np.ones((2, 1)), np.array([[1.4, 1.0]]))
    assert (factors.rate < 1).all()
    assert (factors.information > 0).all()


def test_ridge_solves_each_user_s_equations() -> None:
    rng = np.random.default_rng(0)
    positions, surplus = rng.normal(size=(7, 20, D)), rng.normal(size=(7, D))
    information = np.einsum("nri,nrj->nij", positions, positions)
    i, j = np.triu_indices(D)
    mean, covariance = ridge(information[:, i, j], surplus, 2 * np.eye(D))
    for user in range(7):
        whole = information[user] + 2 * np.eye(D)
        np.testing.assert_allclose(mean[user], np.linalg.solve(whole, surplus[user]))
        np.testing.assert_allclose(covariance[user], np.linalg.inv(whole))


@pytest.mark.parametrize("liked", [0, 1])
def test_one_impression_moves_a_user_along_the_post(liked: int) -> None:
    evidence = UserEvidence(FACTORS, SEGMENT)
    evidence.update(np.array([2]), np.array([4]), np.array([liked], np.uint8))
    along = evidence.factors_of(np.array([2]), 9.0)[0] @ FACTORS.post[4]
    assert along > 0 if liked else along < 0
