"""What runs the same function over all parts of the work: processes here, or a Spark cluster.

A pass knows nothing of either: it asks for `map_parts` or `sum_parts`, and both engines call the
very same function with the numbers of the parts.
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
HELD = 16  # sums that are held before they become one


class Engine(Protocol):
    """A way to run a function over parts, numbered from 0; answers come in the order of parts.

    Attributes:
        is_cluster: whether trees of stored rows are grown by its tasks, not by this process.
    """

    is_cluster: ClassVar[bool]

    def map_parts(self, function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
        """`function` of every part's number; an error of one is raised here as itself."""

    def sum_parts(
        self,
        function: Callable[[int], tuple[S, R]],
        add: Callable[[Sequence[S]], S],
        n_parts: int,
        words: str,
    ) -> tuple[S, list[R]]:
        """The first answers added up, neighbours first, and the second ones as they are."""

    def share(self, directory: Path) -> Location:
        """Where every worker finds a directory of this machine."""

    def rows_place(self, directory: Path) -> str | None:
        """URL for training rows that one process should not hold; None: it holds them all."""


class Processes:
    """Processes of this machine, `FEEDRANK_WORKERS` of them."""

    is_cluster: ClassVar[bool] = False

    def map_parts(self, function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
        """As `Engine` says; a worker that was killed is an error that says what to do."""
        return processes.map_parts(function, n_parts, words)

    def sum_parts(
        self,
        function: Callable[[int], tuple[S, R]],
        add: Callable[[Sequence[S]], S],
        n_parts: int,
        words: str,
    ) -> tuple[S, list[R]]:
        """As `Engine` says; a few sums are held at a time."""
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
    """Run what is within on the engine that the parameters name.

    Raises:
        FeedrankError: it is `spark`, and PySpark or Java is missing.
    """
    if params.name == "local":
        yield _engine.get()
        return
    with _spark(params) as engine, using(engine):
        yield engine


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Run what is within on an engine that is there already."""
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
    # Only here: the optional packages are not there on most machines.
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
