"""Conditional logit of simulated requests."""

from __future__ import annotations

import numpy as np
import pytest

from feedrank.training.conditional_logit import fit_conditional
from feedrank.training.query_groups import QueryGroups

N, SIZE = 4000, 5


def _requests(weight: float) -> tuple[np.ndarray, QueryGroups]:
    """One like a request, by softmax of the first column; the second is one number a request."""
    rng = np.random.default_rng(3)
    varies, fixed = rng.normal(size=(N, SIZE)), np.repeat(rng.normal(size=N), SIZE)
    best = np.argmax(weight * varies + rng.gumbel(size=(N, SIZE)), axis=1)
    liked = np.zeros((N, SIZE), int)
    liked[np.arange(N), best] = 1
    user = np.repeat(np.arange(N), SIZE)
    groups = QueryGroups.of(user, np.zeros(N * SIZE, int), liked.ravel())
    return np.stack([varies.ravel(), fixed], axis=1)[groups.row], groups


def test_weights_of_the_order_are_found() -> None:
    design, groups = _requests(0.8)
    found = fit_conditional(design, groups, np.zeros(2), np.full(2, 1e-6)).weights
    assert abs(found[0] - 0.8) < 0.05


def test_a_column_that_is_the_same_within_requests_keeps_its_prior() -> None:
    design, groups = _requests(0.8)
    assert fit_conditional(design, groups, np.ones(2), np.full(2, 11.0)).weights[
        1
    ] == pytest.approx(1.0)


def test_a_strong_prior_holds_weights() -> None:
    design, groups = _requests(0.8)
    assert fit_conditional(design, groups, np.array([0.1, 0.0]), np.full(2, 1e9)).weights[0] < 0.11
