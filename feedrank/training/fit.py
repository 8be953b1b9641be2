"""Fit of a ranker to training rows, in memory or in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from feedrank.engines.engine import in_use
from feedrank.errors import ParamsError, SchemaError
from feedrank.features.feature import Feature
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import EVER, TrainingRows
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers.by_name import named_kind
from feedrank.ranking.rankers.learned import Arrays, LearnedRanker, RankerRows
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.state.feature_store import FeatureStore
from feedrank.state.plugins.own_code import calling
from feedrank.stats.logistic import platt
from feedrank.training.external_memory import grow_external
from feedrank.training.order import fit_ordered
from feedrank.training.plan import Plan
from feedrank.training.trees import Grow, grow_in_memory

CHECKED_ALONE = 16  # rows of an own ranker that are also scored alone


def fit_ranker(
    rows: TrainingRows | StoredRows,
    until: int | None,
    features: Sequence[Feature],
    params: TrainParams,
    store: FeatureStore | None = None,
) -> Ranker:
    """The ranker that `train.ranker` names, of the rows before `until` seconds, or of all.

    Args:
        rows: in their given order.
        until: seconds since the log's origin; None: all rows count.
        features: the ordered spec.
        params: of training.
        store: that the rows are of; XGBoost does without, if no sitting spans several steps.

    Raises:
        SchemaError: the rows hold no like, or nothing else.
        ParamsError: there is no such ranker, or it cannot be fitted to rows in files.
    """
    if params.ranker == XGBoostRanker.name:
        seconds = EVER if store is None else store.fitted.step_seconds
        return _fit_xgboost(Plan.of(rows, until, features, params), _growth(rows), seconds)
    kind = named_kind(params.ranker)
    if isinstance(rows, StoredRows):
        raise ParamsError(
            f"'train.ranker' is '{params.ranker}', which needs all training rows in memory, and "
            "there are more than 'engine.held_rows'. Raise it, lower 'features.max_rows', or take "
            "xgboost."
        )
    assert store is not None
    return _fit_learned(kind, Plan.of(rows, until, features, params), store)


def _fit_xgboost(plan: Plan, grow: Grow, step_seconds: int) -> XGBoostRanker:
    """Trees on the residual of the first stage.

    The latest tenth of time decides how many trees help (early stopping), and whether they learn
    likes or the order within requests; then all rows grow that many. Rows in files, which no
    process holds together, always learn likes.
    """
    n_trees = plan.params.trees
    if plan.can_stop:
        early = grow(plan, n_trees, True)
        in_memory = isinstance(plan.rows, TrainingRows)
        if in_memory and (ordered := fit_ordered(plan, early, step_seconds)):
            return ordered
        n_trees = int(early.best_iteration) + 1
    booster = grow(plan, n_trees, False)
    booster.set_param({"nthread": 1})
    return XGBoostRanker.of(booster, plan.first_stage)


def _growth(rows: TrainingRows | StoredRows) -> Grow:
    if isinstance(rows, TrainingRows):
        return grow_in_memory
    if not in_use().is_cluster:
        return grow_external
    from feedrank.training.on_spark import grow_on_cluster  # needs pyspark, which is optional

    return grow_on_cluster


def _fit_learned(kind: type[LearnedRanker], plan: Plan, store: FeatureStore) -> LearnedRanker:
    """A ranker of a class, calibrated on the latest tenth of time, or on all rows without one."""
    assert isinstance(plan.rows, TrainingRows)
    names, is_late = [f.name for f in plan.features], np.asarray(plan.rows.at) >= plan.late
    every = _rows_of(plan.rows, plan.first_stage, store)
    early: Arrays | None = None
    judged = every
    if plan.can_stop:
        rows = _rows_of(plan.rows[~is_late], plan.early_stage, store)
        judged = _rows_of(plan.rows[is_late], plan.early_stage, store)
        early = _fitted(kind, rows, judged, plan.params, None)
    learned = _fitted(kind, every, None, plan.params, early)
    ranker = kind(learned if early is None else early, plan.early_stage, names)
    score = ranker.scores(judged)
    late_rows = plan.rows[is_late] if plan.can_stop else plan.rows
    _check_alone(ranker, late_rows, score, store)
    scale, level = (1.0, 0.0) if kind.gives_log_odds else platt(score, judged.liked)
    return kind(learned, plan.first_stage, names, scale, level)


def _fitted(
    kind: type[LearnedRanker],
    rows: RankerRows,
    late: RankerRows | None,
    params: TrainParams,
    early: Arrays | None,
) -> Arrays:
    """What `fit` returns, if it can be saved."""
    what = f"'fit' of the ranker '{kind.name}'"
    with calling(what, "" if kind.plugin is None else kind.plugin.name):
        found: Any = kind.fit(rows, late, params, early)
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and name.isidentifier() and np.asarray(array).dtype.kind in "biuf"
        for name, array in found.items()
    ):
        raise SchemaError(
            f"{what} returns {type(found).__name__}, not a dictionary "
            "of arrays of numbers by names that are identifiers, such as {'weights': array}."
        )
    return {name: np.asarray(array) for name, array in found.items()}


def _check_alone(
    ranker: LearnedRanker, rows: TrainingRows, score: np.ndarray, store: FeatureStore
) -> None:
    """Some rows have the same score alone: lists are ranked alone, and together with others."""
    for i in np.linspace(0, len(rows) - 1, CHECKED_ALONE).astype(int).tolist():
        alone = ranker.scores(_rows_of(rows[i : i + 1], ranker.first_stage, store))[0]
        if not np.isclose(alone, score[i], rtol=1e-5, atol=1e-6):
            raise SchemaError(
                f"the ranker '{ranker.name}' scores a row by {score[i]:.6g} beside {len(rows):,} "
                f"others, and by {alone:.6g} alone. A score may depend on its row and on the past "
                "of its own request, 'rows.request', alone."
            )


def _rows_of(rows: TrainingRows, stage: FirstStage, store: FeatureStore) -> RankerRows:
    asked = Asked.of_rows(rows, store)
    return RankerRows(rows.matrix, stage(rows.matrix), *asked, liked=np.asarray(rows.liked))
