"""Trees: their settings in XGBoost's words, and their growth on rows in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost as xgb

from feedrank.features.feature import RATIO
from feedrank.features.rows import TrainingRows
from feedrank.ranking.first_stage import FirstStage
from feedrank.training.plan import Plan

# Trees by plan and number. True: on early rows, fewer once they stop helping late ones; False: on
# all rows.
Grow = Callable[[Plan, int, bool], xgb.Booster]


def tree_settings(plan: Plan) -> dict[str, Any]:
    """Settings of the trees, in XGBoost's own words, wherever the rows are."""
    params = plan.params
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "eta": params.learning_rate,
        "max_depth": params.max_depth,
        "min_child_weight": params.min_child_weight,
        "lambda": params.reg_lambda,
        "gamma": params.min_split_gain,
        "subsample": params.subsample,
        "colsample_bytree": params.colsample_bytree,
        "max_bin": params.max_bin,
        "monotone_constraints": _monotone(plan),
        "seed": params.seed,
    }


def _monotone(plan: Plan) -> tuple[int, ...]:
    """1 for a feature that must not lower the probability, else 0.

    A higher log ratio or log-odds of liking must not, where the first stage agrees: a weight can
    turn out negative if other features tell the same, as of the trend on a news log.
    """
    weight = dict(zip(plan.first_stage.columns, plan.first_stage.weights, strict=True))
    return tuple(
        int(f.weight == RATIO and weight[column] > 0) for column, f in enumerate(plan.features)
    )


def quantised(
    plan: Plan,
    matrix: np.ndarray,
    liked: np.ndarray,
    stage: FirstStage,
    ref: xgb.DMatrix | None = None,
    **of_rows: Any,
) -> xgb.QuantileDMatrix:
    """Rows over a first stage, in the plan's bins of their features.

    Args:
        plan: of the trees.
        matrix: shape (n, n_features).
        liked: shape (n,).
        stage: that the trees start from.
        ref: rows that the trees grow on, if these are watched alone: XGBoost asks for them.
        of_rows: further arguments of XGBoost.
    """
    ref = plan.bins if ref is None else ref
    return plan.binned(matrix, label=liked, base_margin=stage(matrix), ref=ref, **of_rows)


def grow_in_memory(plan: Plan, n_trees: int, stops_early: bool) -> xgb.Booster:
    """Trees as `Grow` asks for, on rows in memory."""
    assert isinstance(plan.rows, TrainingRows)
    stage, rows = plan.stage(stops_early), plan.rows

    def some(which: slice | np.ndarray, ref: xgb.DMatrix | None = None) -> xgb.DMatrix:
        return quantised(plan, rows.matrix[which], rows.liked[which], stage, ref)

    if not stops_early:
        return grow_trees(plan, n_trees, some(slice(None)), None)
    is_late = np.asarray(rows.at) >= plan.late
    early = some(~is_late)
    return grow_trees(plan, n_trees, early, some(is_late, early))


def grow_trees(
    plan: Plan, n_trees: int, rows: xgb.DMatrix, late: xgb.DMatrix | None
) -> xgb.Booster:
    """Trees of quantised rows; fewer than `n_trees` once they stop helping the late ones."""
    booster = xgb.train(
        {**tree_settings(plan), "nthread": plan.params.threads},
        rows,
        num_boost_round=n_trees,
        evals=[] if late is None else [(late, "late")],
        early_stopping_rounds=None if late is None else plan.params.early_stopping_rounds,
        verbose_eval=False,
    )
    booster.set_param({"nthread": 1})
    return booster
