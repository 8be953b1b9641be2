"""Logistic regression with a Gaussian prior, block by block."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from feedrank.stats import logistic
from feedrank.stats.logistic import fit_logistic

N, MEAN, PRECISION = 500, np.array([1.0, 0.0, 0.0]), np.array([10.0, 4.0, 1e-6])


@pytest.mark.parametrize("block", [1, 7, N, 10 * N])
def test_the_mode_is_that_of_the_log_posterior_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    rng = np.random.default_rng(3)
    design = np.column_stack([rng.normal(size=(N, 2)), np.ones(N)]).astype(np.float32)
    offset, count = rng.normal(size=N), rng.integers(1, 4, N)
    liked = (rng.random(N) < expit(offset + design @ [0.5, -0.4, -1.0])).astype(np.uint8)
    rows = design.astype(np.float64)

    def loss(weights: np.ndarray) -> float:
        log_odds = offset + rows @ weights
        surprise = count * (np.logaddexp(0, log_odds) - liked * log_odds)
        return float(surprise.sum() + PRECISION @ (weights - MEAN) ** 2 / 2)

    monkeypatch.setattr(logistic, "BLOCK", block)
    fit = fit_logistic(design, liked, MEAN, PRECISION, offset, count)
    assert fit.weights == pytest.approx(minimize(loss, MEAN, tol=1e-10).x, abs=1e-4)
    p = expit(offset + rows @ fit.weights)
    hessian = rows.T @ (rows * (count * p * (1 - p))[:, None]) + np.diag(PRECISION)
    assert fit.curvature == pytest.approx(hessian, rel=1e-5)
