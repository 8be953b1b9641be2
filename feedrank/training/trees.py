"""How trees are grown, wherever the rows are, and what decides how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost as xgb

from feedrank.errors import SchemaError
from feedrank.features.spec import Feature

if TYPE_CHECKING:
    from feedrank.params import TrainParams


def tree_settings(features: Sequence[Feature], params: TrainParams) -> dict[str, Any]:
    """How trees are grown, in XGBoost's own words, wherever they are."""
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
        # A log ratio or log-odds of liking can only speak for a post.
        "monotone_constraints": tuple(int(f.is_linear) for f in features),
        "seed": params.seed,
    }


def grow_trees(
    rows: xgb.DMatrix,
    watched: xgb.DMatrix | None,
    n_trees: int,
    features: Sequence[Feature],
    params: TrainParams,
) -> xgb.Booster:
    """Trees of quantised rows; fewer than `n_trees` once they stop helping the watched ones."""
    booster = xgb.train(
        {**tree_settings(features, params), "nthread": params.threads},
        rows,
        num_boost_round=n_trees,
        evals=[] if watched is None else [(watched, "late")],
        early_stopping_rounds=None if watched is None else params.early_stopping_rounds,
        verbose_eval=False,
    )
    booster.set_param({"nthread": 1})
    return booster


def check_labels(liked: np.ndarray) -> None:
    """Raises `SchemaError` unless some rows are liked and some are not."""
    if not holds_both(liked):
        raise SchemaError(
            f"of {len(liked)} training rows {int(np.sum(liked))} are liked; a ranker needs "
            "both liked rows and others. Extract a longer period or more users."
        )


def late_since(at: np.ndarray) -> int:
    """Since when rows are late: the last tenth, which decides how many trees help."""
    return int(np.quantile(at, 0.9, method="lower"))


def holds_both(liked: np.ndarray) -> bool:
    """Whether some rows are liked and some are not."""
    return 0 < int(np.sum(liked)) < len(liked)
