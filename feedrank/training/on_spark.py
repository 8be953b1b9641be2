"""Spark: trees of stored rows by `xgboost.spark`, grown where the rows are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from xgboost.spark import SparkXGBClassifier

from feedrank.features.row_files import StoredRows
from feedrank.features.rows import TrainingRows
from feedrank.ranking.first_stage import FirstStage
from feedrank.training.plan import Plan
from feedrank.training.trees import tree_settings

ROWS = "features array<float>, label int, margin float, is_late boolean"
BATCH_ROWS = 10_000  # of one Arrow batch, 1 MB; Spark's own default
OWN_WORDS = ("objective", "monotone_constraints")  # `xgboost.spark` names these otherwise


def grow_on_cluster(plan: Plan, n_trees: int, stops_early: bool) -> Any:
    """Trees as `feedrank.training.trees.Grow` asks for, grown where the rows are.

    Each task reads its own files, so that no row goes through the driver. The trees depend on the
    number of tasks, by which XGBoost cuts its histograms: they differ from those of one machine.
    """
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    spark = SparkSession.active()
    assert isinstance(plan.rows, StoredRows)
    n_tasks = min(spark.sparkContext.defaultParallelism, len(plan.rows.files))
    first_stage = plan.stage(stops_early)
    read = partial(_read, plan.rows, first_stage, plan.until, plan.late, n_tasks)
    frame = spark.range(0, n_tasks, 1, n_tasks).mapInArrow(read, ROWS)
    settings = tree_settings(plan)
    monotone = str(settings["monotone_constraints"])
    late = {
        "validation_indicator_col": "is_late",
        "early_stopping_rounds": plan.params.early_stopping_rounds,
    }
    estimator = SparkXGBClassifier(
        features_col="features",
        label_col="label",
        base_margin_col="margin",
        feature_names=[f.name for f in plan.features],
        num_workers=n_tasks,
        n_estimators=n_trees,
        verbose=False,
        monotone_constraints=monotone,
        **(late if stops_early else {}),
        **{name: value for name, value in settings.items() if name not in OWN_WORDS},
    )
    return estimator.fit(frame).get_booster()


def _read(
    rows: StoredRows,
    first_stage: FirstStage,
    until: int,
    late: int,
    n_tasks: int,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """In a task: the rows of its share of the files, some at a time."""
    for batch in batches:
        for task in batch.column(0).to_pylist():
            for number in range(task, len(rows.files), n_tasks):
                pieces = (piece.between(0, until) for piece in rows.pieces(number))
                for some in TrainingRows.batches(pieces, BATCH_ROWS):
                    n, width = some.matrix.shape
                    edges = pa.array(np.arange(n + 1) * width, pa.int32())
                    yield pa.record_batch(
                        [
                            pa.ListArray.from_arrays(edges, some.matrix.ravel()),
                            pa.array(some.liked, pa.int32()),
                            pa.array(first_stage(some.matrix), pa.float32()),
                            pa.array(some.at >= late),
                        ],
                        names=["features", "label", "margin", "is_late"],
                    )
