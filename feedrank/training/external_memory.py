"""External memory: trees of rows in files, quantised, cached on disk and read in batches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import xgboost as xgb

from feedrank.features.row_files import StoredRows
from feedrank.ranking.first_stage import FirstStage
from feedrank.training.plan import Plan
from feedrank.training.trees import grow_trees


def grow_external(plan: Plan, n_trees: int, stops_early: bool) -> xgb.Booster:
    """Trees as `feedrank.training.trees.Grow` asks for, in XGBoost's external memory.

    The cache lies in the folder for temporary files: a byte or more a value, deleted at the end.
    Rows come in one order and the number of threads is a parameter, so the bytes repeat.
    """
    with tempfile.TemporaryDirectory(prefix="feedrank-trees-") as folder:
        return _grown(plan, n_trees, stops_early, Path(folder))


def _grown(plan: Plan, n_trees: int, stops_early: bool, folder: Path) -> xgb.Booster:
    """A function of its own, so that XGBoost releases its cache before the folder is deleted."""

    def quantised(since: int, until: int, ref: xgb.DMatrix | None) -> xgb.DMatrix:
        batches = _Batches(plan, plan.stage(stops_early), since, until, folder / str(since))
        options = {"max_bin": plan.params.max_bin, "nthread": plan.params.threads}
        return xgb.ExtMemQuantileDMatrix(batches, ref=ref, **options)

    if not stops_early:
        return grow_trees(plan, n_trees, quantised(0, plan.until, None), None)
    rows = quantised(0, plan.late, None)
    return grow_trees(plan, n_trees, rows, quantised(plan.late, plan.until, rows))


class _Batches(xgb.DataIter):  # type: ignore[misc]
    """Rows of [since, until) seconds in batches, which XGBoost reads several times."""

    def __init__(
        self, plan: Plan, first_stage: FirstStage, since: int, until: int, cache: Path
    ) -> None:
        assert isinstance(plan.rows, StoredRows)
        self._names = [f.name for f in plan.features]
        self._first_stage = first_stage
        self._read = partial(plan.rows.batches, since, until)
        self._left = self._read()
        super().__init__(cache_prefix=str(cache))

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand over a batch; False after the last one."""
        rows = next(self._left, None)
        if rows is None:
            return False
        input_data(
            data=rows.matrix,
            label=rows.liked,
            base_margin=self._first_stage(rows.matrix),
            feature_names=self._names,
        )
        return True

    def reset(self) -> None:
        """Begin again with the first batch."""
        self._left = self._read()
