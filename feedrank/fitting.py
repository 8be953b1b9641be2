"""A ranker of training rows, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence

from feedrank.features import Feature
from feedrank.params import TrainParams
from feedrank.ranker import Ranker
from feedrank.rows import TrainingRows
from feedrank.stored import StoredRows


def fit_ranker(
    rows: TrainingRows | StoredRows,
    until: int | None,
    features: Sequence[Feature],
    params: TrainParams,
) -> Ranker:
    """A ranker of the rows before `until` seconds, or of all: trained by a cluster if stored.

    Raises:
        SchemaError: the rows hold no like, or nothing else.
    """
    if isinstance(rows, StoredRows):
        from feedrank.spark.training import fit_stored  # PySpark wrote them, so it is there

        return fit_stored(rows, until, features, params)
    known = rows if until is None else rows.between(0, until)
    return Ranker.fit(known.matrix, known.liked, known.at, features, params)
