from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.stats.classification import auc, log_loss
from feedrank.stats.hits import expected_hit_at_k, hits_at_each_k
from feedrank.stats.intervals import Estimate, estimate, proportion, user_weights

SCORED = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=1, max_size=40)
LISTS = st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=20)


@given(SCORED)
def test_auc_is_the_chance_that_a_liked_one_scores_higher(scored: list[tuple[int, int]]) -> None:
    liked = [s for label, s in scored if label]
    other = [s for label, s in scored if not label]
    labels, scores = np.array(scored).T
    if not liked or not other:
        assert math.isnan(auc(labels, scores))
        return
    wins = sum((a > b) + 0.5 * (a == b) for a in liked for b in other)
    assert auc(labels, scores) == pytest.approx(wins / len(liked) / len(other))


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=20))
def test_a_hit_is_a_list_with_a_liked_post(lists: list[list[bool]]) -> None:
    expected = [[float(any(liked[: k + 1])) for k in range(3)] for liked in lists]
    assert hits_at_each_k(np.array(lists)).tolist() == expected


@given(LISTS)
def test_an_expected_hit_is_one_less_the_chance_of_no_like(lists: list[list[float]]) -> None:
    expected = [1 - math.prod(1 - p for p in probabilities) for probabilities in lists]
    np.testing.assert_allclose(expected_hit_at_k(np.array(lists)), expected, atol=1e-12)


def test_expected_hits_are_what_happens_on_average() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 0.4, (4, 5))
    happened = [hits_at_each_k(rng.random((20_000, 5)) < row)[:, -1].mean() for row in probability]
    np.testing.assert_allclose(expected_hit_at_k(probability), happened, atol=0.015)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_log_loss_is_the_mean_surprise(scored: list[tuple[int, float]]) -> None:
    labels, p = np.array([a for a, _ in scored]), np.array([b for _, b in scored])
    clipped = [min(max(x, 1e-7), 1 - 1e-7) for x in p]
    expected = -sum(math.log(x if y else 1 - x) for y, x in zip(labels, clipped, strict=True))
    assert log_loss(labels, p) == pytest.approx(expected / len(scored), rel=1e-6, abs=1e-9)


def test_no_impressions_have_no_log_loss() -> None:
    assert math.isnan(log_loss(np.array([]), np.array([])))


def test_a_resample_draws_users_with_all_their_requests() -> None:
    user = np.array([7, 3, 7, 9, 3, 7])
    weights = user_weights(user, n_resamples=200, seed=1)
    of_requests = weights.of_user[:, weights.user]
    assert of_requests.shape == (200, 6)
    for row in of_requests:
        by_user = {u: set(row[user == u].tolist()) for u in (3, 7, 9)}
        assert all(len(times) == 1 for times in by_user.values())
        assert sum(times.pop() for times in by_user.values()) == 3  # as many as there are users
    assert of_requests.mean() == pytest.approx(1, abs=0.1)


def test_resamples_repeat_with_their_seed_alone() -> None:
    user = np.arange(20) // 2
    first, same, other = (user_weights(user, 50, seed).of_user for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_an_interval_is_that_of_a_plain_bootstrap_over_users() -> None:
    rng = np.random.default_rng(2)
    user = rng.integers(0, 80, 400)
    value = (rng.random(400) < np.where(user % 3, 0.3, 0.8)).astype(float)
    found = estimate(value, user_weights(user, 3000, 5))
    means = []
    for _ in range(3000):
        drawn = rng.choice(np.unique(user), 80)
        means.append(np.concatenate([value[user == u] for u in drawn]).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.value == value.mean()
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_requests_of_few_users_say_less_than_as_many_of_many() -> None:
    rng = np.random.default_rng(3)
    of_user = rng.random(20)
    few, many = np.repeat(np.arange(20), 20), np.arange(400)
    value = (rng.random(400) < of_user[few]).astype(float)
    widths = [
        (e.high - e.low) for e in (estimate(value, user_weights(u, 2000, 1)) for u in (few, many))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_requests_that_were_not_judged_are_left_out() -> None:
    user = np.arange(6)
    value = np.array([1, np.nan, 0, 1, np.nan, 1])
    found = estimate(value, user_weights(user, 100, 1))
    assert found.n_requests == 4
    assert found.value == 0.75
    assert found.low <= 0.75 <= found.high


def test_no_judged_request_has_no_estimate() -> None:
    found = estimate(np.full(3, np.nan), user_weights(np.arange(3), 10, 1))
    assert found.n_requests == 0
    assert math.isnan(found.value)


def test_no_request_at_all_has_no_estimate() -> None:
    found = estimate(np.empty(0), user_weights(np.empty(0, int), 10, 1))
    assert found.n_requests == 0
    assert math.isnan(found.value)


@given(st.integers(1, 40), st.integers(0, 40))
def test_a_proportion_of_each_user_once_has_wilson_s_interval(n: int, liked: int) -> None:
    value = (np.arange(n) < liked).astype(float)
    found = proportion(value, np.arange(n))
    for end in (found.low, found.high):  # where a test of `end` at 1.96 just fails
        assert abs(found.value - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / n))
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.98])
def test_a_proportion_s_interval_holds_the_truth_where_users_differ(rate: float) -> None:
    rng = np.random.default_rng(4)
    user, held = np.repeat(np.arange(60), 5), 0
    for _ in range(400):
        of_user = rng.beta(4 * rate, 4 * (1 - rate), 60)
        found = proportion((rng.random(300) < of_user[user]).astype(float), user)
        held += found.low <= rate <= found.high
    assert 0.92 <= held / 400 <= 0.99


def test_a_proportion_of_few_users_says_less_than_as_many_of_many() -> None:
    value = np.tile([1.0, 0.0], 50)
    of_few, of_many = (proportion(value, u) for u in (np.arange(100) % 10, np.arange(100)))
    assert of_few.high - of_few.low > 2 * (of_many.high - of_many.low)


@pytest.mark.parametrize("liked", [0.0, 1.0])
def test_where_all_or_none_are_liked_users_count_and_not_requests(liked: float) -> None:
    found = proportion(np.full(100, liked), np.arange(100) % 4)
    assert found.high - found.low == pytest.approx(1.96**2 / (4 + 1.96**2))
    assert (found.n_requests, found.n_users) == (100, 4)


def test_a_proportion_of_one_user_says_as_much_as_one_request() -> None:
    value = np.tile([1.0, 0.0], 50)
    found, one = proportion(value, np.zeros(100, int)), proportion(np.array([0.5]), np.array([0]))
    assert (found.low, found.high) == (one.low, one.high)


def test_nobody_s_proportion_is_not_known() -> None:
    found = proportion(np.array([np.nan, np.nan]), np.array([1, 2]))
    assert found.n_requests == 0
    assert math.isnan(found.low)


def test_equal_differences_of_few_users_are_not_certain() -> None:
    for n_users in (1, 24, 13_000):
        user = np.repeat(np.arange(n_users), 2)
        found = estimate(np.full(len(user), 0.25), user_weights(user, 50, 1))
        none = 1.96**2 / (n_users + 1.96**2)
        assert (found.low, found.high) == pytest.approx((0.25 - none, 0.25 + none))
    assert found.high < 0.2504  # so that many users can still tell that two are equal


def test_users_who_were_not_judged_do_not_make_an_estimate_decisive() -> None:
    user = np.repeat(np.arange(200), 3)
    weights = user_weights(user, 50, 1)
    draw = np.random.default_rng(1).random(600)

    def judged(n_requests: int) -> Estimate:
        return estimate(np.where(np.arange(600) < n_requests, draw, np.nan), weights)

    assert [(judged(n).n_users, judged(n).is_decisive) for n in (49, 50, 57, 58, 60)] == [
        (17, False), (17, False), (19, False), (20, True), (20, True)
    ]  # fmt: skip
    assert not estimate(draw[:49], user_weights(np.arange(49), 50, 1)).is_decisive
    few = judged(57).if_decisive()
    assert few.value == judged(57).value
    assert not few.has_interval
    assert judged(60).if_decisive() == judged(60)


def test_resamples_without_a_judged_request_have_no_rate() -> None:
    value = np.full(30, np.nan)
    value[:3] = [0.6, 0.7, 0.8]
    found = estimate(value, user_weights(np.arange(30), 1000, 1))
    assert 0.6 <= found.low < found.high <= 0.8
