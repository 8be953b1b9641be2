"""How the ranker's log loss falls as its trees grow, on rows it saw and on later ones."""

from __future__ import annotations

import numpy as np

from feedrank.features.rows import TrainingRows
from feedrank.ranking.ranker import Ranker
from feedrank.stats.classification import log_loss

MOST_ROWS, MOST_POINTS = 20_000, 20


def learning_curve(
    ranker: Ranker, earlier: TrainingRows, later: TrainingRows
) -> list[tuple[int, float, float]]:
    """(trees, log loss of earlier rows, log loss of later rows), from no trees to all.

    Args:
        ranker: fitted on the earlier rows.
        earlier: rows that it saw; evenly spread ones are looked at.
        later: rows that it did not see, likewise.
    """
    n_trees = ranker.booster.num_boosted_rounds()
    points = np.unique(np.linspace(0, n_trees, min(MOST_POINTS, n_trees) + 1).astype(int))
    some = [rows[:: max(1, len(rows) // MOST_ROWS)] for rows in (earlier, later)]
    return [(int(n), *(_loss(ranker, rows, int(n)) for rows in some)) for n in points]  # type: ignore[misc]


def _loss(ranker: Ranker, rows: TrainingRows, n_trees: int) -> float:
    matrix = np.ascontiguousarray(rows.matrix)
    first = ranker.first_stage(matrix)
    if not n_trees:
        return log_loss(rows.liked, 1 / (1 + np.exp(-first.astype(np.float64))))
    grown = ranker.booster.inplace_predict(
        matrix, iteration_range=(0, n_trees), base_margin=first, validate_features=False
    )
    return log_loss(rows.liked, grown)
