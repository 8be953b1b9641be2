"""Feature importance: the effect of each feature on a ranker's log-odds, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.ranking.rankers.ranker import Ranker

MOST_ROWS = 20_000  # a standard deviation of so many rows has an error of half a percent


def importance(ranker: Ranker, matrix: np.ndarray) -> pd.DataFrame:
    """One row a feature, the strongest first.

    `effect`, in log-odds, is the standard deviation over rows of a feature's contributions in the
    first stage and, where the ranker tells it, beyond (of trees, the SHAP values of Lundberg et
    al. 2018).
    `first_stage_weight` and `total_gain` are the stored weight and gain, in units of their own.

    Args:
        ranker: fitted.
        matrix: rows of all features, of which evenly spread ones are used.
    """
    some = np.ascontiguousarray(matrix[:: max(1, -(-len(matrix) // MOST_ROWS))])
    gain = ranker.gains()
    names, first = ranker.feature_names, ranker.first_stage
    weight = np.zeros(len(names))
    weight[list(first.columns)] = first.weights
    linear = np.zeros(some.shape)
    linear[:, list(first.columns)] = some[:, list(first.columns)] * np.array(first.weights)
    beyond, _ = ranker.contributions(some)
    table = pd.DataFrame(
        {
            "feature": names,
            "effect": np.round(np.std(linear + beyond, axis=0), 5),
            "first_stage_weight": np.round(weight, 5),
            "total_gain": [round(float(gain.get(n, 0.0)), 3) for n in names],
        }
    )
    return table.sort_values(["effect", "feature"], ascending=[False, True])
