"""Ablated ranker: a fold replayed with features that are muted in rows and ranker."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.params import Params
from feedrank.ranking.rankers.ranker import Ranker
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.fold import FoldResult, run_fold


def result_without(
    log: Log,
    features: Path,
    rows: TrainingRows,
    fold: Fold,
    params: Params,
    muted: tuple[str, ...],
) -> FoldResult:
    """One fold, replayed without the muted features."""
    names = [f.name for f in features_of(FeatureStore.load(features).fitted)]
    columns = [names.index(name) for name in muted]
    muted_to = partial(muted_ranker, columns=columns)
    return run_fold(log, features, muted_rows(rows, columns), fold, params, muted_to)


def muted_rows(rows: TrainingRows, columns: list[int]) -> TrainingRows:
    """The same rows with some features constant, so that no tree can split on them."""
    if not columns:
        return rows
    matrix = np.array(rows.matrix)
    matrix[:, columns] = 0.0
    return replace(rows, matrix=matrix)


def muted_ranker(ranker: Ranker, columns: list[int]) -> Ranker:
    """A ranker of muted rows whose first stage gives these features a weight of 0.

    The prior of the weights is centred at 1, and constant columns do not move them from there.
    """
    first = ranker.first_stage
    weights = tuple(
        0.0 if column in columns else weight
        for column, weight in zip(first.columns, first.weights, strict=True)
    )
    return ranker.with_first_stage(replace(first, weights=weights))
