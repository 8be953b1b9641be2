from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nbinom

from feedrank.learning.posts import tastes as module
from feedrank.learning.posts.sample import expected_likes
from feedrank.learning.posts.tastes import LEAST_STRENGTH, Tastes, taste_ratios
from tests.support.network.taste_samples import likes

N_USERS, N_POSTS, N_GROUPS, RATE = 600, 90, 3, 0.2
GROUP = np.repeat(np.arange(N_GROUPS), N_POSTS // N_GROUPS)
FLAT = np.full((1, N_POSTS), RATE)
NONE = np.empty((N_POSTS, 0))


def _tastes(spread: float, seed: int = 0, n_users: int = N_USERS, views: int = 100) -> Tastes:
    taste = np.random.default_rng(seed).normal(0, spread, (n_users, N_GROUPS))
    return Tastes(likes(taste[:, GROUP], views, RATE, seed), FLAT, NONE, dispersion=1 - RATE)


def _softly(cluster: np.ndarray, sure: float = 0.9) -> np.ndarray:
    return sure * np.eye(N_GROUPS)[cluster] + (1 - sure) / N_GROUPS


def _found(tastes: Tastes, start: np.ndarray, n: int = 6) -> np.ndarray:
    belonging = start
    for _ in range(n):
        log = tastes.evidence(belonging)
        belonging = np.exp(log - log.max(1, keepdims=True))
        belonging /= belonging.sum(1, keepdims=True)
    return belonging


def _mixed(share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(N_POSTS) < share, rng.integers(0, N_GROUPS, N_POSTS), GROUP)


def test_posts_that_the_same_users_like_come_together() -> None:
    """No profile tells these users apart, and two posts of three start in a cluster by chance."""
    found = _found(_tastes(0.8), _softly(_mixed(0.65)))
    assert np.mean(found.argmax(1) == GROUP) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_without_tastes_a_post_is_not_held_where_it_stands(seed: int) -> None:
    """Its likers seem to like its cluster, unless their own like of it is taken out."""
    start = np.random.default_rng(seed).integers(0, N_GROUPS, N_POSTS)
    evidence = _tastes(0.0, seed).evidence(_softly(start))
    held = evidence[np.arange(N_POSTS), start] - evidence.mean(1)
    assert abs(held.mean()) < 2 * held.std() / np.sqrt(N_POSTS)


def test_strong_tastes_have_a_small_prior_weight_and_chance_a_large_one() -> None:
    strong, none = _tastes(0.8), _tastes(0.0)
    for tastes in (strong, none):
        _found(tastes, _softly(_mixed(0.4)))
    assert strong.strength < 4
    assert none.strength > 30


def test_evidence_is_the_predictive_probability_of_a_post_s_likes() -> None:
    """Against the exact negative binomial, likes of the post itself apart, in certain clusters."""
    tastes = _tastes(0.5, n_users=40, views=60)
    belonging = np.eye(N_GROUPS)[GROUP]
    found = tastes.evidence(belonging) * (1 - RATE)
    taste = np.random.default_rng(0).normal(0, 0.5, (40, N_GROUPS))
    sample = likes(taste[:, GROUP], 60, RATE, 0)
    expected = expected_likes(sample, FLAT)
    for post in (0, 40, 89):
        rows = np.flatnonzero(sample.post == post)
        exact = np.zeros(N_GROUPS)
        for cluster in range(N_GROUPS):
            for row in rows:
                of = (sample.user == sample.user[row]) & (GROUP[sample.post] == cluster)
                of[row] = False
                a, c = sample.liked[of].sum() + 5.0, expected[of].sum() + 5.0
                exact[cluster] += nbinom.logpmf(sample.liked[row], a, c / (c + expected[row]))
        # What does not depend on the cluster is left out of the evidence.
        np.testing.assert_allclose(found[post] - found[post][0], exact - exact[0], atol=0.01)


def test_ratios_are_likes_over_the_expected_ones_shrunk() -> None:
    sample = likes(np.zeros((3, N_POSTS)), 50, RATE, seed=4)
    expected = np.full(len(sample.post), RATE)
    found = taste_ratios(sample, expected, GROUP, strength=7.0)
    row = 60
    of = (sample.user == sample.user[row]) & (GROUP[sample.post] == GROUP[sample.post[row]])
    assert found[row] == pytest.approx((sample.liked[of].sum() + 7) / (RATE * of.sum() + 7))


def test_a_prior_is_never_weaker_than_an_impression_can_bear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weak = LEAST_STRENGTH / 9
    monkeypatch.setattr("feedrank.learning.posts.tastes.fit_strength", lambda *_: weak)
    tastes = _tastes(0.8)
    _found(tastes, _softly(GROUP), 2)
    assert tastes.strength == LEAST_STRENGTH


def test_a_strength_is_fitted_to_all_clusters_of_some_users_of_both_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    units: list[np.ndarray] = []

    def noted(liked: np.ndarray, shown: np.ndarray, expected: np.ndarray) -> float:
        units.append(shown)
        return 5.0

    monkeypatch.setattr(module, "fit_strength", noted)
    monkeypatch.setattr(module, "MOST_UNITS", 400)
    sample = likes(np.zeros((300, 40)), 30, 0.2, seed=1)
    found = Tastes(sample, np.full((1, 40), 0.2), np.zeros((40, 0)), 0.8)
    membership = np.eye(4)[np.arange(40) % 4]
    for _ in range(2):
        found.evidence(membership)
    (shown,) = units
    assert shown.shape == (100, 4)  # of each half, every third of its 150 users
    assert (shown.sum(1) == 30).all()
