"""Dependence between the likes of one request."""

from __future__ import annotations

import numpy as np
import pytest

from feedrank.validation.hitrate.dependence import PAIRS_PRIOR, Dependence


def _simulated(n: int, mood: float) -> Dependence:
    """Requests of 12 impressions of two deviations at even odds; `mood` moves all of a request."""
    rng = np.random.default_rng(6)
    p = np.full((n, 12), 0.5)
    moved = mood * rng.normal(size=(n, 1))
    liked = rng.random(p.shape) < 1 / (1 + np.exp(-moved))
    request, deviation = np.repeat(np.arange(n), 12), np.tile(np.arange(12) % 2 - 0.5, n)
    return Dependence.of(request, deviation, (liked - p).ravel(), (p * (1 - p)).ravel(), n)


@pytest.mark.parametrize("possible", [1.0, PAIRS_PRIOR, 100 * PAIRS_PRIOR])
def test_few_pairs_are_shrunk_to_no_dependence(possible: float) -> None:
    found = Dependence(np.array([[0.4 * possible, 0]]), np.array([[possible, 0, 0]]))
    shrinkage = possible / (possible + PAIRS_PRIOR)
    assert found.variance(1.0)[0] == pytest.approx(0.4 * shrinkage)


@pytest.mark.parametrize("product", [0.0, 0.4, 2.0])
def test_influences_agree_with_leaving_each_request_out(product: float) -> None:
    whole = _simulated(200, mood=0.6)
    found, influence = whole.variance(product)
    without = np.array([
        Dependence(np.delete(whole.products, i, 0), np.delete(whole.possible, i, 0)).variance(
            product
        )[0]
        for i in range(200)
    ])  # fmt: skip
    assert found > 0.1
    left_out = found - without
    np.testing.assert_allclose(influence, left_out - left_out.mean(), rtol=0.05, atol=5e-5)
    assert influence.sum() == pytest.approx(0, abs=1e-9)


def test_without_a_pair_nothing_is_shared() -> None:
    alone = Dependence(np.zeros((3, 2)), np.zeros((3, 3)))
    assert alone.variance(0.5)[0] == 0
    assert alone.variance(0.5)[1].tolist() == [0, 0, 0]
