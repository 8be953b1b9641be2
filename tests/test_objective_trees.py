"""The listwise loss that benchmarks compare the ranker's own with."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb

from benchmarks.objective_trees import _softmax_gradient, _softmax_loss

SESSION = np.array([0, 0, 0, 1, 2, 2, 2, 2])
LIKED = np.array([0, 1, 0, 1, 1, 0, 1, 0])


@pytest.fixture
def rows() -> xgb.DMatrix:
    return xgb.DMatrix(np.zeros((8, 1)), label=LIKED, qid=SESSION)


def _loss(score: np.ndarray, rows: xgb.DMatrix) -> float:
    return _softmax_loss(score, rows)[1] * len(score)


def test_the_gradient_is_the_slope_of_the_loss(rows: xgb.DMatrix) -> None:
    score = np.random.default_rng(0).normal(0, 2, 8)
    gradient, bend = _softmax_gradient(score, rows)
    for i in range(8):
        step = np.eye(8)[i] * 1e-4
        up, down = _loss(score + step, rows), _loss(score - step, rows)
        assert gradient[i] == pytest.approx((up - down) / 2e-4, abs=1e-6)
        assert bend[i] == pytest.approx((up - 2 * _loss(score, rows) + down) / 1e-8, abs=1e-4)


def test_what_all_posts_of_a_session_share_says_nothing(rows: xgb.DMatrix) -> None:
    score = np.random.default_rng(1).normal(0, 2, 8)
    assert _loss(score + 50.0 * SESSION, rows) == pytest.approx(_loss(score, rows))
