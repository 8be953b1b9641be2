"""Plan of training: first stages of early rows and of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from feedrank.features.rows import TrainingRows
from feedrank.features.spec import RATIO, TERM, Feature
from feedrank.ranking.first_stage import TERM_SPREADS, WEIGHT_SPREAD
from feedrank.training.plan import Plan
from tests.support.simulated_logs import params

FEATURES = (
    Feature("known", lambda q: 0.0, "a log ratio", RATIO),
    Feature("fresh", lambda q: 0.0, "likes of the last hour", TERM),
)


def _rows(
    scale: float = 1.0, late_effect: float = 0.5, n: int = 20_000, effect: float = 0.5
) -> TrainingRows:
    """Rows with an effect of the second column, in units of a scale, and a late one."""
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(n, 2))
    at = np.arange(n, dtype=np.uint32)
    effects = np.where(at < 0.9 * n, effect, late_effect)
    liked = rng.random(n) < expit(-2 + matrix[:, 0] + effects * matrix[:, 1])
    user = rng.integers(0, 500, n).astype(np.uint32)
    matrix[:, 1] *= scale
    return TrainingRows(matrix.astype(np.float32), liked.astype(np.uint8), at, user, user)


def test_the_early_stage_has_not_learned_from_late_rows() -> None:
    plan, other = (Plan.of(_rows(late_effect=e), None, FEATURES, params().train) for e in (-3, 3))
    assert plan.early_stage == other.early_stage
    assert plan.first_stage.weights[1] < plan.early_stage.weights[1] < other.first_stage.weights[1]


def test_one_stage_serves_both_where_no_row_is_late() -> None:
    one_moment = replace(_rows(), at=np.zeros(20_000, np.uint32))
    plan = Plan.of(one_moment, None, FEATURES, params().train)
    assert plan.early_stage == plan.first_stage


def test_a_term_that_hardly_varies_gets_no_large_weight() -> None:
    """In units of its spread it would weigh 50, and a post outside the rows' range decide alone."""
    weight = Plan.of(_rows(scale=0.01), None, FEATURES, params().train).first_stage.weights
    assert 0 < weight[1] < 10 * TERM_SPREADS[0]
    assert abs(weight[0] - 1) < WEIGHT_SPREAD


def test_rows_choose_how_far_terms_may_go() -> None:
    stages = [
        Plan.of(_rows(effect=e, late_effect=e), None, FEATURES, params().train).first_stage
        for e in (0.0, 0.02, 0.5)
    ]
    none, weak, strong = (stage.weights[1] for stage in stages)
    assert abs(none) < 10 * TERM_SPREADS[-1]
    assert abs(weak) < 10 * TERM_SPREADS[-1]  # within a standard error of none, .02
    assert abs(strong - 0.5) < 0.1
    assert all(abs(stage.weights[0] - 1) < WEIGHT_SPREAD for stage in stages)


def test_many_terms_that_tell_nothing_weigh_nothing() -> None:
    rng = np.random.default_rng(6)
    noise = tuple(replace(FEATURES[1], name=f"noise {i}") for i in range(12))
    rows = _rows(n=2_000, effect=0.0, late_effect=0.0)
    wide = np.column_stack([rows.matrix, rng.normal(size=(2_000, 12)).astype(np.float32)])
    stage = Plan.of(replace(rows, matrix=wide), None, FEATURES + noise, params().train).first_stage
    assert np.abs(stage.weights[1:]).max() < 10 * TERM_SPREADS[-1]
