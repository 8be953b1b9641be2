"""Trees of rows in files, grown by this process: quantised, cached on disk, read batch by batch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import xgboost as xgb

from feedrank.ranking.first_stage import FirstStage
from feedrank.training.plan import Plan
from feedrank.training.trees import grow_trees


def grow_external(plan: Plan, n_trees: int, watches_late: bool) -> xgb.Booster:
    """Trees as `feedrank.training.plan.Grow` asks for, in XGBoost's external memory.

    The cache lies in the folder for temporary files: a byte or more a value, and gone at the end.
    Rows come in one order and the number of threads is a parameter, so the bytes repeat.
    """
    with tempfile.TemporaryDirectory(prefix="feedrank-trees-") as folder:
        return _grown(plan, n_trees, watches_late, Path(folder))


def _grown(plan: Plan, n_trees: int, watches_late: bool, folder: Path) -> xgb.Booster:
    """A function of its own, so that XGBoost lets go of its cache before the folder goes."""
    first_stage, end = plan.score(watches_late), plan.late if watches_late else plan.until
    rows = _quantised(_Batches(plan, first_stage, 0, end, folder / "rows"), plan, None)
    late = None
    if watches_late:
        late = _quantised(_Batches(plan, first_stage, end, plan.until, folder / "late"), plan, rows)
    return grow_trees(rows, late, n_trees, plan.features, plan.params)


def _quantised(batches: _Batches, plan: Plan, ref: xgb.DMatrix | None) -> xgb.DMatrix:
    return xgb.ExtMemQuantileDMatrix(
        batches, max_bin=plan.params.max_bin, nthread=plan.params.threads, ref=ref
    )


class _Batches(xgb.DataIter):  # type: ignore[misc]
    """Rows of [since, until) seconds as XGBoost asks for them, from the first one every time."""

    def __init__(
        self, plan: Plan, first_stage: FirstStage, since: int, until: int, cache: Path
    ) -> None:
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
        """Begin anew."""
        self._left = self._read()
