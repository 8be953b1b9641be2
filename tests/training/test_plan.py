"""Plan of training: terms of the first stage, where late rows ask for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from feedrank.features.rows import TrainingRows
from feedrank.features.spec import RATIO, TERM, Feature
from feedrank.training.plan import Plan
from tests.support.simulated_logs import params

FEATURES = (
    Feature("known", lambda q: 0.0, "a log ratio", RATIO),
    Feature("fresh", lambda q: 0.0, "likes of the last hour", TERM),
)


def _rows(effect: float, late_effect: float) -> TrainingRows:
    rng = np.random.default_rng(5)
    n = 20_000
    matrix = rng.normal(size=(n, 2)).astype(np.float32)
    at = np.arange(n, dtype=np.uint32)
    weight = np.where(at < 0.9 * n, effect, late_effect)
    liked = rng.random(n) < expit(-2 + matrix[:, 0] + weight * matrix[:, 1])
    user = rng.integers(0, 500, n).astype(np.uint32)
    return TrainingRows(matrix, liked.astype(np.uint8), at, user, user)


@pytest.mark.parametrize(
    ("effect", "late_effect", "columns"),
    [(0.5, 0.5, (0, 1)), (0.5, -0.5, (0,))],
    ids=["a term that helps late rows", "one that misleads them"],
)
def test_late_rows_decide_whether_terms_join(
    effect: float, late_effect: float, columns: tuple[int, ...]
) -> None:
    plan = Plan.of(_rows(effect, late_effect), None, FEATURES, params().train)
    assert plan.first_stage.columns == plan.early_stage.columns == columns


def test_terms_wait_for_late_rows() -> None:
    rows = _rows(0.5, 0.5)
    one_moment = replace(rows, at=np.zeros_like(rows.at))
    assert Plan.of(one_moment, None, FEATURES, params().train).first_stage.columns == (0,)
