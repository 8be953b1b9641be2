"""Engine: runs a function over all parts of the work, in processes here or on a Spark cluster.

A pass calls `map_parts` or `sum_parts`; both engines run the same function on the numbers of the
parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar, TypeVar

from feedrank.engines import processes
from feedrank.io.storage import Location, url_of

R = TypeVar("R")
S = TypeVar("S")
HELD = 16  # sums held before they become one: bounds memory, any number above 1 gives equal sums


class Engine:
    """Processes of this machine, `FEEDRANK_WORKERS` of them; a subclass may run elsewhere.

    Attributes:
        is_cluster: whether its tasks, not this process, grow trees from stored rows.
    """

    is_cluster: ClassVar[bool] = False

    def map_parts(self, function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
        """Answers of `function` for the numbers 0 to `n_parts` - 1, in order.

        Args:
            function: may carry arrays.
            n_parts: number of parts.
            words: name of the step, for progress and errors.

        Raises:
            FeedrankError: a worker was killed, or a cluster gave up. An error of `function` is
                raised as itself.
        """
        return processes.map_parts(function, n_parts, words)

    def sum_parts(
        self,
        function: Callable[[int], tuple[S, R]],
        add: Callable[[Sequence[S]], S],
        n_parts: int,
        words: str,
        take: Callable[[R], None],
    ) -> S:
        """The sum of the first answers, added up in the order of parts.

        Args:
            function: answers two things for each number.
            add: the sum of some of the first ones.
            n_parts: number of parts.
            words: name of the step.
            take: is given each of the second ones, in the order of parts.
        """
        sums: list[S] = []
        for one, other in self.map_parts(function, n_parts, words):
            take(other)
            sums.append(one)
            if len(sums) == HELD:
                sums = [add(sums)]
        return sums[0] if len(sums) == 1 else add(sums)

    def share(self, directory: Path) -> Location:
        """Place where every worker finds a directory of this machine."""
        return directory

    def rows_place(self, directory: Path) -> str:
        """URL for training rows that one process should not hold: a directory, or a store."""
        return url_of(directory)


_processes = Engine()
_engine: ContextVar[Engine] = ContextVar("engine", default=_processes)


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Use an engine within a `with` block."""
    token = _engine.set(engine)
    try:
        yield
    finally:
        _engine.reset(token)


def _ignored(answer: object) -> None:
    pass


def map_parts(function: Callable[[int], R], n_parts: int, words: str) -> Iterator[R]:
    """`Engine.map_parts` of the engine in use."""
    return _engine.get().map_parts(function, n_parts, words)


def sum_parts(
    function: Callable[[int], tuple[S, R]],
    add: Callable[[Sequence[S]], S],
    n_parts: int,
    words: str,
    take: Callable[[R], None] = _ignored,
) -> S:
    """`Engine.sum_parts` of the engine in use."""
    return _engine.get().sum_parts(function, add, n_parts, words, take)


def in_use() -> Engine:
    """The engine in use."""
    return _engine.get()
