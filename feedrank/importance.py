"""What each feature does for a ranker, as a table."""

from __future__ import annotations

import pandas as pd

from feedrank.ranker import Ranker


def importance(ranker: Ranker) -> pd.DataFrame:
    """Total gain of each feature in the trees, and its weight in the first score."""
    gain = ranker.booster.get_score(importance_type="total_gain")
    names, first = ranker.feature_names, ranker.first_score
    weights = dict(zip(first.columns, first.weights, strict=True))
    table = pd.DataFrame(
        {
            "feature": names,
            "total_gain": [round(float(gain.get(n, 0.0)), 3) for n in names],
            "first_score_weight": [round(weights.get(i, 0.0), 5) for i in range(len(names))],
        }
    )
    return table.sort_values(["total_gain", "feature"], ascending=[False, True])
