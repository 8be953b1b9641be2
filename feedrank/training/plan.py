"""Plan of training: first stages and latest rows, before trees grow on all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xgboost as xgb

from feedrank.errors import SchemaError
from feedrank.features.feature import Feature
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import EVER, TrainingRows
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage

EARLY_SHARE = 0.9  # of time: early stopping on the last tenth, as a customary hold-out
# Rows, evenly spread, from which bins are computed where there are twice as many: so many, and half
# as many more at most. One of 128 bins holds 400 of them; all of half a million rows take 4 s.
BINNED_ROWS = 50_000


@dataclass(frozen=True)
class Plan:
    """Inputs of the trees' growth.

    Attributes:
        rows: in memory or in files.
        until: seconds; later rows do not count.
        late: seconds; rows from then on decide the number of trees.
        can_stop: early and late rows hold both labels, so that late ones can decide.
        first_stage: fitted on all rows, or a sample of them.
        early_stage: fitted on the early ones of these alone.
        features: the ordered spec.
        params: of training.
    """

    rows: TrainingRows | StoredRows
    until: int
    late: int
    can_stop: bool
    first_stage: FirstStage
    early_stage: FirstStage
    features: Sequence[Feature]
    params: TrainParams

    @classmethod
    def of(
        cls,
        rows: TrainingRows | StoredRows,
        until: int | None,
        features: Sequence[Feature],
        params: TrainParams,
    ) -> Plan:
        """Plan for the rows before `until` seconds, or for all; stored ones by a sample.

        Raises:
            SchemaError: the rows hold no like, or nothing else.
        """
        end = EVER if until is None else until
        sample: Any = rows  # TrainingRows, and not copied where all of them count
        if until is not None or isinstance(rows, StoredRows):
            sample = rows.between(0, end)
        if not _holds_both(sample.liked):
            raise SchemaError(
                f"of {len(sample)} training rows {int(np.sum(sample.liked))} are liked; a ranker "
                "needs both liked rows and others. Extract a longer period or more users."
            )
        late = int(np.quantile(sample.at, EARLY_SHARE, method="lower"))
        is_late = sample.at >= late
        can_stop = _holds_both(sample.liked[is_late]) and _holds_both(sample.liked[~is_late])
        first = early = FirstStage.fit(sample.matrix, sample.liked, features)
        if can_stop:
            early = FirstStage.fit(sample.matrix[~is_late], sample.liked[~is_late], features)
        kept = rows if isinstance(rows, StoredRows) else sample
        return cls(kept, end, late, can_stop, first, early, features, params)

    def stage(self, stops_early: bool) -> FirstStage:
        """The first stage that trees start from: it must not have learned from watched rows."""
        return self.early_stage if stops_early else self.first_stage

    @cached_property
    def bins(self) -> xgb.QuantileDMatrix | None:
        """Some of many rows in memory, at whose bins all trees of the plan split; None: of few."""
        assert isinstance(self.rows, TrainingRows)
        apart = len(self.rows) // BINNED_ROWS
        return self.binned(self.rows.matrix[::apart]) if apart > 1 else None

    def binned(self, matrix: np.ndarray, **of_rows: Any) -> xgb.QuantileDMatrix:
        """Rows in bins of their features: their own, or those of `ref`.

        Args:
            matrix: shape (n, n_features).
            of_rows: further arguments of XGBoost.
        """
        names = [f.name for f in self.features]
        settings = {"max_bin": self.params.max_bin, "nthread": self.params.threads}
        return xgb.QuantileDMatrix(matrix, feature_names=names, **settings, **of_rows)


def _holds_both(liked: np.ndarray) -> bool:
    return 0 < int(np.sum(liked)) < len(liked)
