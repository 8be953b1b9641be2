"""Fit of a ranker to training rows, in memory or in files."""

from __future__ import annotations

from collections.abc import Sequence

from feedrank.engines.engine import in_use
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import Feature
from feedrank.params import TrainParams
from feedrank.ranking.ranker import Ranker
from feedrank.training.external_memory import grow_external
from feedrank.training.order import fit_ordered
from feedrank.training.plan import Grow, Plan
from feedrank.training.trees import grow_in_memory


def fit_ranker(
    rows: TrainingRows | StoredRows,
    until: int | None,
    features: Sequence[Feature],
    params: TrainParams,
) -> Ranker:
    """A ranker of the rows before `until` seconds, or of all, in their given order.

    The latest tenth of time decides how many trees help (early stopping), and whether they learn
    likes or the order within requests; then all rows grow that many. Rows in files, which no
    process holds together, always learn likes.

    Raises:
        SchemaError: the rows hold no like, or nothing else.
    """
    plan, grow = Plan.of(rows, until, features, params), _growth(rows)
    n_trees = params.trees
    if plan.can_stop:
        early = grow(plan, n_trees, True)
        ordered = fit_ordered(plan, early) if isinstance(plan.rows, TrainingRows) else None
        if ordered is not None:
            return ordered
        n_trees = int(early.best_iteration) + 1
    booster = grow(plan, n_trees, False)
    booster.set_param({"nthread": 1})
    return Ranker(booster, plan.first_stage)


def _growth(rows: TrainingRows | StoredRows) -> Grow:
    if isinstance(rows, TrainingRows):
        return grow_in_memory
    if not in_use().is_cluster:
        return grow_external
    from feedrank.training.on_spark import grow_on_cluster  # needs pyspark, which is optional

    return grow_on_cluster
