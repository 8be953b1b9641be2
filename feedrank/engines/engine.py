"""Engine: runs a function over all parts of the work, in processes here or on a Spark cluster.

A pass calls `map_parts` or `sum_parts`; both engines run the same function on the numbers of the
parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from feedrank.engines import processes
from feedrank.errors import FeedrankError
from feedrank.io.storage import Location, url_of
from feedrank.params import EngineParams

R = TypeVar("R")
S = TypeVar("S")
HELD = 16  # sums held before they become one: bounds memory, any number above 1 gives equal sums


class Engine(Protocol):
    """Runs functions over parts, numbered from 0; answers come in the order of the parts.

    Attributes:
        is_cluster: whether its tasks, not this process, grow trees from stored rows.
    """

    is_cluster: ClassVar[bool]

    def map_parts(self, function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
        """Answers of `function` for each part's number; its errors are raised as themselves.

        Raises:
            FeedrankError: a worker was killed, or the cluster gave up.
        """

    def sum_parts(
        self,
        function: Callable[[int], tuple[S, R]],
        add: Callable[[Sequence[S]], S],
        n_parts: int,
        words: str,
    ) -> tuple[S, list[R]]:
        """The sum of the first answers, added up in the order of parts, and the second answers."""

    def share(self, directory: Path) -> Location:
        """Place where every worker finds a directory of this machine."""

    def rows_place(self, directory: Path) -> str | None:
        """URL for training rows that one process should not hold; None: it holds them all."""


class Processes:
    """Processes of this machine, `FEEDRANK_WORKERS` of them."""

    is_cluster: ClassVar[bool] = False

    def map_parts(self, function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
        """As `Engine` says."""
        return processes.map_parts(function, n_parts, words)

    def sum_parts(
        self,
        function: Callable[[int], tuple[S, R]],
        add: Callable[[Sequence[S]], S],
        n_parts: int,
        words: str,
    ) -> tuple[S, list[R]]:
        """As `Engine` says; at most `HELD` sums are in memory."""
        others: list[R] = []

        def sums() -> Iterator[S]:
            for one, other in self.map_parts(function, n_parts, words):
                others.append(other)
                yield one

        return _added(sums(), add), others

    def share(self, directory: Path) -> Path:
        """The directory itself."""
        return directory

    def rows_place(self, directory: Path) -> str:
        """In the directory."""
        return url_of(directory)


_processes: Engine = Processes()
_engine: ContextVar[Engine] = ContextVar("engine", default=_processes)


@contextmanager
def running_on(params: EngineParams) -> Iterator[Engine]:
    """Use the engine that the parameters name within a `with` block.

    Raises:
        FeedrankError: the engine is `spark`, and PySpark or Java is missing.
    """
    if params.name == "local":
        yield _engine.get()
        return
    with _spark(params) as engine, using(engine):
        yield engine


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Use an engine within a `with` block."""
    token = _engine.set(engine)
    try:
        yield
    finally:
        _engine.reset(token)


def map_parts(function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
    """`Engine.map_parts` of the engine in use."""
    return _engine.get().map_parts(function, n_parts, words)


def on_cluster() -> bool:
    """`Engine.is_cluster` of the engine in use."""
    return _engine.get().is_cluster


def sum_parts(
    function: Callable[[int], tuple[S, R]],
    add: Callable[[Sequence[S]], S],
    n_parts: int,
    words: str,
) -> tuple[S, list[R]]:
    """`Engine.sum_parts` of the engine in use."""
    return _engine.get().sum_parts(function, add, n_parts, words)


def _added(sums: Iterable[S], add: Callable[[Sequence[S]], S]) -> S:
    held: list[S] = []
    for one in sums:
        held.append(one)
        if len(held) == HELD:
            held = [add(held)]
    return held[0] if len(held) == 1 else add(held)


@contextmanager
def _spark(params: EngineParams) -> Iterator[Engine]:
    # Imported here, since the optional packages are missing on most machines.
    try:
        from feedrank.engines.spark.cluster import SparkEngine
    except ModuleNotFoundError as error:
        if error.name not in ("pyspark", "py4j"):
            raise
        raise FeedrankError(
            "'engine.name' is 'spark', but PySpark is not installed. Run `pip install -r "
            "requirements-spark.txt -c constraints.txt`, or set 'engine.name' to local."
        ) from error
    with SparkEngine.started(params) as engine:
        yield engine
