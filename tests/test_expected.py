"""`hitrate@k/expected` against networks whose true probabilities are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit, logit

from feedrank.validation.expected import Expected, expected_hitrate, matching_weight
from feedrank.validation.folding import lead
from feedrank.validation.metrics import expected_hit_at_k, user_weights

K, DEPTH, N_POSTS, N_SHOWN = 5, 50, 400, 30


@dataclass(frozen=True)
class Simulation:
    """Requests judged as the replay judges them, and what is true of them."""

    found: Expected
    truth: float
    believed: float


def _simulate(
    error: float = 0.0, shift: float = 0.0, n: int = 1500, seed: int = 0, by: str = "ours"
) -> Simulation:
    """A feed of posts at random, and a belief that errs by `error` and is `shift` too high.

    The five best of hundreds by such a belief are best partly by luck.
    """
    rng = np.random.default_rng(seed)
    true = rng.normal(-2.5, 0.6, (n, N_POSTS))
    ours = true + shift + rng.normal(0, error, (n, N_POSTS))
    order = ours if by == "ours" else rng.normal(size=ours.shape)
    best = np.argsort(-order, axis=1)
    rank = np.argsort(best, axis=1)
    shown = np.argsort(rng.random((n, N_POSTS)), axis=1)[:, :N_SHOWN]
    rows = np.arange(n)[:, None]
    liked = rng.random((n, N_SHOWN)) < expit(true[rows, shown])
    of_shown = rank[rows, shown]
    top = best[:, :K]
    believed = expit(ours[rows, top])
    found = expected_hitrate(
        believed,
        np.where(of_shown < DEPTH, of_shown, -1).ravel(),
        expit(ours[rows, shown]).ravel(),
        liked.ravel(),
        np.repeat(np.arange(n), N_SHOWN),
        user_weights(np.arange(n) // 2, 300, seed),
    )
    truth = float(expected_hit_at_k(expit(true[rows, top])).mean())
    return Simulation(found, truth, float(expected_hit_at_k(believed).mean()))


def test_a_true_belief_is_left_as_it_is() -> None:
    simulated = _simulate()
    assert simulated.found.shift == pytest.approx(0, abs=0.1)
    assert simulated.found.estimate.value == pytest.approx(simulated.truth, abs=0.02)


@pytest.mark.parametrize(("error", "shift"), [(0.6, 0.0), (0.0, 0.8), (0.4, 0.5), (0.0, -0.7)])
def test_a_wrong_belief_is_found_out(error: float, shift: float) -> None:
    simulated = _simulate(error, shift)
    estimate = simulated.found.estimate.value
    wrong = abs(simulated.believed - simulated.truth)
    assert wrong > 0.08
    assert abs(estimate - simulated.truth) < 0.4 * wrong


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    n_held = 0
    for seed in range(20):
        simulated = _simulate(shift=0.5, n=300, seed=seed)
        estimate = simulated.found.estimate
        assert estimate.low < estimate.value < estimate.high
        n_held += estimate.low <= simulated.truth <= estimate.high
    assert n_held >= 16


def test_more_requests_narrow_the_interval() -> None:
    widths = []
    for n in (200, 2000):
        estimate = _simulate(error=0.3, n=n).found.estimate
        widths.append(estimate.high - estimate.low)
    assert widths[1] < widths[0] / 2


def test_the_lead_over_random_lists_is_their_true_distance() -> None:
    ours, other = (_simulate(error=0.3, by=by) for by in ("ours", "random"))
    found = lead(ours.found, other.found)
    assert found.low > 0
    assert found.value == pytest.approx(ours.truth - other.truth, abs=0.04)


def test_a_lead_is_paired() -> None:
    ours = _simulate(error=0.3).found
    found = lead(ours, ours)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_match_counts_the_less_the_further_down() -> None:
    rank = np.array([-1, 0, K - 1, K, 10 * K - 1, 100 * K])
    weight = matching_weight(rank, K)
    assert weight[0] == 0
    assert weight[1] == weight[2] == 1
    assert (np.diff(weight[2:]) < 0).all()
    assert weight[-1] > 0


def test_without_a_match_our_belief_is_all_there_is() -> None:
    probability = np.full((4, K), 0.1)
    found = expected_hitrate(
        probability,
        np.full(8, -1),
        np.full(8, 0.1),
        np.ones(8, bool),
        np.repeat(np.arange(4), 2),
        user_weights(np.arange(4), 50, 1),
    )
    assert found.shift == 0
    assert found.n_matching == 0
    assert found.estimate.value == pytest.approx(1 - 0.9**K)


def test_few_matches_shift_less_than_many() -> None:
    def shift(n: int) -> float:
        return expected_hitrate(
            np.full((n, K), 0.1),
            np.zeros(n, int),
            np.full(n, 0.1),
            np.ones(n, bool),
            np.arange(n),
            user_weights(np.arange(n), 50, 1),
        ).shift

    assert 0 < shift(2) < shift(20) < shift(2000)


def test_a_list_that_is_too_short_counts_for_what_it_holds() -> None:
    short = np.array([[0.3, 0.2, 0, 0, 0]])
    found = expected_hitrate(
        short, np.array([-1]), np.array([0.1]), np.array([False]), np.array([0]),
        user_weights(np.array([0]), 10, 1),
    )  # fmt: skip
    assert found.estimate.value == pytest.approx(1 - 0.7 * 0.8, abs=1e-4)


def test_the_draws_are_those_of_refitting_each_resample() -> None:
    rng = np.random.default_rng(5)
    n, n_shown = 400, 10
    p = expit(rng.normal(-2, 0.5, (n, n_shown)))
    liked = rng.random((n, n_shown)) < expit(logit(p) - 0.3)
    listed = expit(rng.normal(-1.5, 0.3, (n, K)))
    weights = user_weights(np.arange(n), 40, 2)
    of = np.repeat(np.arange(n), n_shown)
    rank = np.zeros(n * n_shown, int)
    found = expected_hitrate(listed, rank, p.ravel(), liked.ravel(), of, weights)
    for draw, weight in zip(found.draws, weights, strict=True):
        rows = np.repeat(np.arange(n), weight)
        again = expected_hitrate(
            listed[rows],
            np.zeros(len(rows) * n_shown, int),
            p[rows].ravel(),
            liked[rows].ravel(),
            np.repeat(np.arange(len(rows)), n_shown),
            weights[:1],
        )
        assert draw == pytest.approx(again.estimate.value, abs=0.003)
