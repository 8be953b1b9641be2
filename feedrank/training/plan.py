"""Plan of training: first stages and latest rows, before trees grow on all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from feedrank.errors import SchemaError
from feedrank.features.row_files import StoredRows
from feedrank.features.rows import EVER, TrainingRows
from feedrank.features.spec import Feature
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage
from feedrank.stats.decisions import is_likely

EARLY_SHARE = 0.9  # of time: early stopping on the last tenth, as a customary hold-out


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
        early, with_terms = None, False
        if can_stop:
            early, with_terms = _early_stage(sample[~is_late], sample[is_late], features)
        first = FirstStage.fit(sample.matrix, sample.liked, features, with_terms)
        kept = rows if isinstance(rows, StoredRows) else sample
        return cls(kept, end, late, can_stop, first, early or first, features, params)

    def stage(self, stops_early: bool) -> FirstStage:
        """The first stage that trees start from: it must not have learned from watched rows."""
        return self.early_stage if stops_early else self.first_stage


def _early_stage(
    early: TrainingRows, late: TrainingRows, features: Sequence[Feature]
) -> tuple[FirstStage, bool]:
    """First stage of early rows, and whether it has terms: if late rows likely ask for them."""
    without, given = (
        FirstStage.fit(early.matrix, early.liked, features, with_terms)
        for with_terms in (False, True)
    )
    lead = _surprise(without, late) - _surprise(given, late)
    return (given, True) if is_likely(lead) else (without, False)


def _surprise(stage: FirstStage, rows: TrainingRows) -> np.ndarray:
    """Negative log likelihood of each row."""
    log_odds = stage(rows.matrix).astype(np.float64)
    return np.asarray(np.logaddexp(0, log_odds) - rows.liked * log_odds)


def _holds_both(liked: np.ndarray) -> bool:
    return 0 < int(np.sum(liked)) < len(liked)
