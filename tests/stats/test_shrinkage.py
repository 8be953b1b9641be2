from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.stats import shrinkage
from feedrank.stats.shrinkage import STRONGEST, WEAKEST, fit_strength, ratio

POSITIVE = st.floats(0.01, 1e4)


@given(st.integers(0, 1000), POSITIVE, POSITIVE)
def test_a_ratio_lies_between_what_happened_and_one(
    liked: int, expected: float, strength: float
) -> None:
    found = float(ratio(np.array(liked), np.array(expected), strength))
    happened = liked / expected
    assert min(happened, 1) - 1e-9 <= found <= max(happened, 1) + 1e-9


@given(POSITIVE)
def test_a_ratio_without_evidence_is_one(strength: float) -> None:
    assert ratio(np.zeros(2), np.zeros(2), strength).tolist() == [1.0, 1.0]


@given(st.integers(1, 1000), POSITIVE, POSITIVE)
def test_the_more_evidence_the_further_from_one(
    liked: int, expected: float, strength: float
) -> None:
    few = float(ratio(np.array(liked), np.array(expected), strength))
    many = float(ratio(np.array(10 * liked), np.array(10 * expected), strength))
    assert abs(many - 1) >= abs(few - 1) - 1e-9


@pytest.mark.parametrize("strength", [2.0, 20.0])
def test_the_strength_that_drew_the_likes_is_found(strength: float) -> None:
    rng = np.random.default_rng(3)
    rate = np.full(4000, 0.12)
    shown = rng.integers(50, 500, 4000)
    chance = rng.beta(strength, strength * (1 - rate) / rate)
    liked = rng.binomial(shown, chance)
    found = fit_strength(liked, shown, shown * rate)
    assert found == pytest.approx(strength, rel=0.15)


def test_units_that_do_not_differ_are_shrunk_more_than_units_that_do() -> None:
    rng = np.random.default_rng(4)
    shown = np.full(500, 300)
    alike = rng.binomial(shown, 0.1)
    unlike = rng.binomial(shown, rng.uniform(0.02, 0.18, 500))
    strengths = [fit_strength(liked, shown, shown * 0.1) for liked in (alike, unlike)]
    assert strengths[0] > 5 * strengths[1]


def test_no_evidence_gives_the_usual_strength() -> None:
    nothing = np.zeros(3)
    assert fit_strength(nothing, nothing, nothing) == pytest.approx(50, rel=0.01)


def test_a_unit_without_weight_does_not_count() -> None:
    liked, shown = np.array([5, 80, 10]), np.array([100, 100, 100])
    without = fit_strength(liked[[0, 2]], shown[[0, 2]], shown[[0, 2]] * 0.1)
    weight = np.array([1.0, 0.0, 1.0])
    assert fit_strength(liked, shown, shown * 0.1, weight) == pytest.approx(without)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 80)), max_size=8),
)
def test_a_strength_is_finite_whatever_the_counts(units: list[tuple[int, int, float]]) -> None:
    liked, others, expected = np.array(units, dtype=float).reshape(-1, 3).T
    found = fit_strength(liked, liked + others, expected)
    assert WEAKEST <= found <= STRONGEST


def test_of_many_units_whole_rows_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    shown, expected = np.full((4000, 1), 200), np.tile([24.0, 30.0], (4000, 1))
    liked = rng.binomial(shown, 0.12 * rng.gamma(20, 1 / 20, (4000, 1)))
    weight = np.tile([1.0, 0.0], (4000, 1))
    fourth = fit_strength(liked[::4], shown[::4], expected[::4], weight[::4])
    monkeypatch.setattr(shrinkage, "MOST_UNITS", 2000)
    assert fit_strength(liked, shown, expected, weight) == fourth
    assert 15 < fourth < 27
