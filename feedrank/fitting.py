"""A ranker of training rows, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence

from feedrank.engine import on_cluster
from feedrank.external import grow_external
from feedrank.features import Feature
from feedrank.params import TrainParams
from feedrank.planned import Grow, Plan, fit_planned
from feedrank.ranker import Ranker
from feedrank.rows import TrainingRows
from feedrank.stored import StoredRows


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
    return Ranker.fit(known.matrix, known.liked, known.at, features, params)


def _growth() -> Grow:
    if not on_cluster():
        return grow_external
    from feedrank.spark.training import grow_on_cluster  # PySpark is there if it is in use

    return grow_on_cluster
