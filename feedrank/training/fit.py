"""A ranker of training rows, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xgboost as xgb

from feedrank.engines.engine import in_use
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import Feature
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.ranker import Ranker
from feedrank.training.external_memory import grow_external
from feedrank.training.plan import Grow, Plan, fit_planned
from feedrank.training.trees import check_labels, grow_trees, holds_both, late_since


def fit_ranker(
    rows: TrainingRows | StoredRows,
    until: int | None,
    features: Sequence[Feature],
    params: TrainParams,
) -> Ranker:
    """A ranker of the rows before `until` seconds, or of all, wherever they are.

    Raises:
        SchemaError: the rows hold no like, or nothing else.
    """
    if isinstance(rows, StoredRows):
        return fit_planned(Plan.of(rows, until, features, params), _growth())
    known = rows if until is None else rows.between(0, until)
    return fit_in_memory(known.matrix, known.liked, known.at, features, params)


def fit_in_memory(
    matrix: np.ndarray,
    liked: np.ndarray,
    at: np.ndarray,
    features: Sequence[Feature],
    params: TrainParams,
) -> Ranker:
    """A ranker of rows in their given order, with as many trees as the last tenth of time asks for.

    The latest rows decide how many trees help; then all rows grow that many.

    Args:
        matrix: float32, shape (n, n_features).
        liked: uint8, shape (n,).
        at: seconds, shape (n,), only to tell the latest rows.
        features: the ordered spec.
        params: of training.

    Raises:
        SchemaError: the rows hold no like, or nothing else.
    """
    check_labels(liked)
    is_late = at >= late_since(at)
    n_trees = params.trees
    if holds_both(liked[is_late]) and holds_both(liked[~is_late]):
        early = _grow(
            matrix[~is_late],
            liked[~is_late],
            features,
            params,
            params.trees,
            (matrix[is_late], liked[is_late]),
        )
        n_trees = int(early.booster.best_iteration) + 1
    return _grow(matrix, liked, features, params, n_trees, None)


def _growth() -> Grow:
    if not in_use().is_cluster:
        return grow_external
    from feedrank.training.on_spark import grow_on_cluster

    return grow_on_cluster


def _grow(
    matrix: np.ndarray,
    liked: np.ndarray,
    features: Sequence[Feature],
    params: TrainParams,
    n_trees: int,
    watched: tuple[np.ndarray, np.ndarray] | None,
) -> Ranker:
    first_stage = FirstStage.fit(matrix, liked, features)
    names = [f.name for f in features]

    def rows(matrix: np.ndarray, liked: np.ndarray, ref: xgb.DMatrix | None) -> xgb.DMatrix:
        return xgb.QuantileDMatrix(
            matrix,
            label=liked,
            base_margin=first_stage(matrix),
            feature_names=names,
            max_bin=params.max_bin,
            nthread=params.threads,
            ref=ref,
        )

    train = rows(matrix, liked, None)
    late = rows(*watched, train) if watched else None
    return Ranker(grow_trees(train, late, n_trees, features, params), first_stage)
