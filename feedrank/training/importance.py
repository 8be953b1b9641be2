"""What each feature does for a ranker, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xgboost as xgb

from feedrank.ranking.ranker import Ranker

MOST_ROWS = 20_000


def importance(ranker: Ranker, matrix: np.ndarray) -> pd.DataFrame:
    """One row a feature, the strongest first.

    `effect` is how far a feature moves the log-odds of a like: the standard deviation, over rows,
    of what the first score and the trees add because of it (for trees, the SHAP values of Lundberg
    et al. 2018). `first_stage_weight` and `total_gain` are the two parts as they are stored, in
    units of their own.

    Args:
        ranker: fitted.
        matrix: rows of all features; evenly spread ones are looked at.
    """
    some = np.ascontiguousarray(matrix[:: max(1, len(matrix) // MOST_ROWS)])
    gain = ranker.booster.get_score(importance_type="total_gain")
    names, first = ranker.feature_names, ranker.first_stage
    weight = np.zeros(len(names))
    weight[list(first.columns)] = first.weights
    linear = np.zeros(some.shape)
    linear[:, list(first.columns)] = some[:, list(first.columns)] * np.array(first.weights)
    by_trees = ranker.booster.predict(
        xgb.DMatrix(some, feature_names=names, nthread=1), pred_contribs=True
    )
    table = pd.DataFrame(
        {
            "feature": names,
            "effect": np.round(np.std(linear + by_trees[:, :-1], axis=0), 5),
            "first_stage_weight": np.round(weight, 5),
            "total_gain": [round(float(gain.get(n, 0.0)), 3) for n in names],
        }
    )
    return table.sort_values(["effect", "feature"], ascending=[False, True])
