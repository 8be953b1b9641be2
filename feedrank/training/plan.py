"""Training on rows in files: what a sample of them decides, before trees grow on all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import xgboost as xgb

from feedrank.features.row_files import StoredRows
from feedrank.features.rows import EVER
from feedrank.features.spec import Feature
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.ranker import Ranker
from feedrank.training.trees import check_labels, holds_both, late_since


@dataclass(frozen=True)
class Plan:
    """How trees are to grow on stored rows.

    Attributes:
        rows: in files.
        until: seconds; later rows are not known.
        late: seconds; rows from then on decide how many trees help.
        watches_late: whether they can: late rows and earlier ones hold both labels.
        first_stage: that the trees start from.
        early_score: the same from earlier rows alone, before it is known how many trees help.
        features: the ordered spec.
        params: of training.
    """

    rows: StoredRows
    until: int
    late: int
    watches_late: bool
    first_stage: FirstStage
    early_score: FirstStage
    features: Sequence[Feature]
    params: TrainParams

    @classmethod
    def of(
        cls,
        rows: StoredRows,
        until: int | None,
        features: Sequence[Feature],
        params: TrainParams,
    ) -> Plan:
        """From a sample of the rows before `until` seconds, or of all.

        Raises:
            SchemaError: the sample holds no like, or nothing else.
        """
        end = EVER if until is None else until
        sample = rows.between(0, end)
        check_labels(sample.liked)
        late = late_since(sample.at)
        is_late = sample.at >= late
        watches = holds_both(sample.liked[is_late]) and holds_both(sample.liked[~is_late])
        first = early = FirstStage.fit(sample.matrix, sample.liked, features)
        if watches:
            early = FirstStage.fit(sample.matrix[~is_late], sample.liked[~is_late], features)
        return cls(rows, end, late, watches, first, early, features, params)

    def score(self, watches_late: bool) -> FirstStage:
        """The first score that trees start from while late rows are watched, or at last."""
        return self.early_score if watches_late else self.first_stage


Grow = Callable[[Plan, int, bool], xgb.Booster]


def fit_planned(plan: Plan, grow: Grow) -> Ranker:
    """As `Ranker.fit`: the latest rows decide how many trees help, then all rows grow that many.

    Args:
        plan: of the rows.
        grow: trees by plan and number; with True from the earlier rows, while the late ones ask
            for more, else from all rows.
    """
    n_trees = plan.params.trees
    if plan.watches_late:
        n_trees = int(grow(plan, n_trees, True).best_iteration) + 1
    booster = grow(plan, n_trees, False)
    booster.set_param({"nthread": 1})
    return Ranker(booster, plan.first_stage)
