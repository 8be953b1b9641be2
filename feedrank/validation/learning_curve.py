"""Learning curve: log loss by number of trees, of training rows and of test rows."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.special import expit

from feedrank.features.rows import TrainingRows
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.classification import log_loss

# The standard error of a log loss of 20,000 rows is some .003, below what the chart can show; 20
# points are the resolution of the chart.
MOST_ROWS, MOST_POINTS = 20_000, 20


def learning_curve(
    ranker: Ranker, training: TrainingRows, test: TrainingRows, store: FeatureStore
) -> list[tuple[int, float, float]]:
    """(trees, log loss of training rows, log loss of test rows), from no trees to all.

    Args:
        ranker: fitted on the training rows.
        training: rows before the cutoff; evenly spread ones are evaluated.
        test: rows after it, likewise.
        store: of the log.
    """
    n_trees = ranker.n_rounds
    points = np.unique(np.linspace(0, n_trees, min(MOST_POINTS, n_trees) + 1).astype(int))
    first, second = (rows[:: max(1, -(-len(rows) // MOST_ROWS))] for rows in (training, test))
    loss = partial(_loss, ranker, store)
    return [(n, loss(first, n), loss(second, n)) for n in points.tolist()]


def _loss(ranker: Ranker, store: FeatureStore, rows: TrainingRows, n_trees: int) -> float:
    matrix = np.ascontiguousarray(rows.matrix)
    first = ranker.first_stage(matrix)
    if not n_trees:
        return log_loss(rows.liked, expit(first.astype(np.float64)))
    grown = ranker.probability(matrix, first, Asked.of_rows(rows, store), n_trees)
    return log_loss(rows.liked, grown)
