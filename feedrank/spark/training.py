"""A ranker of stored rows: `xgboost.spark` grows the trees where the rows are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from xgboost.spark import SparkXGBClassifier

from feedrank.features import Feature
from feedrank.params import TrainParams
from feedrank.ranker import FirstScore, Ranker, check_labels, late_since, tree_settings
from feedrank.stored import StoredRows

ROWS = "features array<float>, label int, margin float, is_late boolean"
BATCH_ROWS = 10_000
OWN_WORDS = ("objective", "monotone_constraints")  # `xgboost.spark` has its own for these


def fit_stored(
    rows: StoredRows, until: int | None, features: Sequence[Feature], params: TrainParams
) -> Ranker:
    """As `Ranker.fit`, with the first score and what is late taken from a sample of the rows.

    Each task reads its own files, so that no row goes through the driver. The trees depend on the
    number of tasks, by which XGBoost cuts its histograms: on one machine they are others.

    Raises:
        SchemaError: the sample holds no like, or nothing else.
    """
    end = int(np.iinfo(np.uint32).max) if until is None else until
    sample = rows.between(0, end)
    check_labels(sample.liked)
    first_score = FirstScore.fit(sample.matrix, sample.liked, features)
    late = late_since(sample.at)
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    spark = SparkSession.active()
    n_tasks = min(spark.sparkContext.defaultParallelism, len(rows.files))
    read = partial(_read, rows, first_score, end, late, n_tasks)
    frame = spark.range(0, n_tasks, 1, n_tasks).mapInArrow(read, ROWS)
    grow = partial(_grow, features=features, params=params, n_tasks=n_tasks)
    early = grow(frame, params.trees, watches_late=True)
    booster = grow(frame, int(early.best_iteration) + 1, watches_late=False)
    booster.set_param({"nthread": 1})
    return Ranker(booster, first_score)


def _grow(
    frame: DataFrame,
    n_trees: int,
    watches_late: bool,
    features: Sequence[Feature],
    params: TrainParams,
    n_tasks: int,
) -> Any:
    settings = tree_settings(features, params)
    monotone = str(settings["monotone_constraints"])
    late = {
        "validation_indicator_col": "is_late",
        "early_stopping_rounds": params.early_stopping_rounds,
    }
    estimator = SparkXGBClassifier(
        features_col="features",
        label_col="label",
        base_margin_col="margin",
        feature_names=[f.name for f in features],
        num_workers=n_tasks,
        n_estimators=n_trees,
        verbose=False,
        monotone_constraints=monotone,
        **(late if watches_late else {}),
        **{name: value for name, value in settings.items() if name not in OWN_WORDS},
    )
    return estimator.fit(frame).get_booster()


def _read(
    rows: StoredRows,
    first_score: FirstScore,
    until: int,
    late: int,
    n_tasks: int,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """In a task: the rows of its share of the files, some at a time."""
    for batch in batches:
        for task in batch.column(0).to_pylist():
            for number in range(task, len(rows.files), n_tasks):
                part = rows.part(number).between(0, until)
                for start in range(0, len(part), BATCH_ROWS):
                    some = part[start : start + BATCH_ROWS]
                    n, width = some.matrix.shape
                    edges = pa.array(np.arange(n + 1) * width, pa.int32())
                    yield pa.record_batch(
                        [
                            pa.ListArray.from_arrays(edges, some.matrix.ravel()),
                            pa.array(some.liked, pa.int32()),
                            pa.array(first_score(some.matrix), pa.float32()),
                            pa.array(some.at >= late),
                        ],
                        names=["features", "label", "margin", "is_late"],
                    )
