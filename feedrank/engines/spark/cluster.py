"""Spark engine: the parts of the work as tasks of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feedrank.engines.engine import Engine
from feedrank.engines.spark.session import session
from feedrank.engines.spark.transfer import (
    PIECES,
    REFUSED,
    REST,
    SUM,
    joined,
    merge_pieces,
    run_parts,
)
from feedrank.errors import FeedrankError
from feedrank.io.storage import inside, publish, url_of
from feedrank.params import EngineParams

R = TypeVar("R")
S = TypeVar("S")
FAN_IN = 4  # sums that one task holds and adds up; more mean fewer rounds and more memory


@dataclass(frozen=True)
class SparkEngine(Engine):
    """Tasks of a Spark cluster, one a part; Spark runs a task again if its machine is lost.

    Attributes:
        spark: the session.
        store: URL that every machine reaches; None: all see the folders of this one.
    """

    is_cluster: ClassVar[bool] = True
    spark: SparkSession
    store: str | None

    @classmethod
    @contextmanager
    def started(cls, params: EngineParams) -> Iterator[SparkEngine]:
        """An engine over a session of its own."""
        with session(params.master) as spark:
            yield cls(spark, params.store)

    def map_parts(self, function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
        """As `Engine` says."""
        with self._results(partial(_alone, function), n_parts, words) as results:
            yield from _others(results)

    def sum_parts(
        self,
        function: Callable[[int], tuple[S, R]],
        add: Callable[[Sequence[S]], S],
        n_parts: int,
        words: str,
        take: Callable[[R], None],
    ) -> S:
        """As `Engine` says; sums are added up by a tree of tasks, not in the driver.

        A task adds up neighbours in the order of their parts, so that the sum does not depend on
        the speed of machines.
        """
        with self._results(function, n_parts, words) as results:
            sums, left = results.where(F.col("kind") == SUM), n_parts
            while left > 1:
                parent = F.floor(F.col("part") / FAN_IN).alias("parent")
                # PySpark cannot look into a `partial` for types.
                merge = lambda key, table: merge_pieces(add, key, table)  # noqa: E731
                sums = sums.groupBy(parent).applyInArrow(merge, PIECES)
                left = -(-left // FAN_IN)
            with _named(words):
                pieces = sums.orderBy("piece").collect()
            for other in _others(results):
                take(other)
            total: S = joined(pieces)
            return total

    def share(self, directory: Path) -> str:
        """URL of the directory, or of a copy in the store if there is one."""
        return publish(directory, self.store) if self.store else url_of(directory)

    def rows_place(self, directory: Path) -> str:
        """URL in the store, or of the directory."""
        return inside(self.store, "rows") if self.store else url_of(directory)

    @contextmanager
    def _results(
        self, function: Callable[[int], tuple[Any, Any]], n_parts: int, words: str
    ) -> Iterator[DataFrame]:
        """Pieces of all parts' answers, computed once; lost ones are computed again."""
        self.spark.sparkContext.setJobDescription(words)
        shipped = self.spark.sparkContext.broadcast(function)
        numbers = self.spark.range(0, n_parts, 1, n_parts)
        results = numbers.mapInArrow(partial(run_parts, shipped), PIECES)
        results = results.persist(StorageLevel.DISK_ONLY)
        try:
            with _named(words):
                refused = results.where(F.col("kind") == REFUSED).orderBy("part", "piece").collect()
            if refused:
                raise joined([p for p in refused if p.part == refused[0].part])
            yield results
        finally:
            results.unpersist()
            shipped.destroy()


def _alone(function: Callable[[int], R], part: int) -> tuple[None, R]:
    return None, function(part)


def _others(results: DataFrame) -> Iterator[Any]:
    """Answers in the order of parts; one Spark partition is held at a time."""
    pieces = results.where(F.col("kind") == REST).toLocalIterator(prefetchPartitions=True)
    for _, of_part in groupby(pieces, key=lambda piece: piece.part):
        yield joined(list(of_part))


@contextmanager
def _named(words: str) -> Iterator[None]:
    """Turn failures of a job into an error that names the step."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        raise FeedrankError(
            f"Spark gave up while {words}: {error}\nIf workers were killed for want of memory, "
            "raise 'spark.executor.memoryOverhead', or 'extract.buckets' so that a task holds less."
        ) from error
