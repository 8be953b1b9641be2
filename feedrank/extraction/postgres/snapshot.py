"""Snapshot of the database, shared by several connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import local
from typing import TypeVar

from feedrank.extraction.postgres.connection import Source, Transaction
from feedrank.extraction.postgres.driver_errors import ConnectionLost, SnapshotLost
from feedrank.extraction.postgres.retry import retrying
from feedrank.extraction.postgres.waiting import settle

T = TypeVar("T")


class Snapshot:
    """A snapshot that connections share until its first transaction ends.

    Attributes:
        first: the transaction that exported the snapshot.
    """

    def __init__(
        self, source: Source, first: Transaction, pool: ThreadPoolExecutor, stack: ExitStack
    ) -> None:
        self.first = first
        self._name = str(first.rows("SELECT pg_export_snapshot()")[0][0])
        self._source, self._pool, self._stack = source, pool, stack
        self._own = local()

    @classmethod
    @contextmanager
    def of(cls, source: Source, connections: int) -> Iterator[Snapshot]:
        """A new snapshot for some connections, each opened when it is first needed."""
        with (
            source.transaction() as first,
            ExitStack() as stack,
            ThreadPoolExecutor(connections) as pool,
        ):
            yield cls(source, first, pool, stack)

    def each(self, tasks: Iterable[Callable[[Transaction], T]]) -> list[T]:
        """Results of tasks, in their order; the connections work in parallel.

        A task whose connection breaks starts again on another one.

        Raises:
            SnapshotLost: the snapshot's first transaction is gone.
            SourceError: the database cannot be read.
        """
        of_tasks = [(Future[T](), partial(self._run, task)) for task in tasks]
        pending = [future for future, _ in of_tasks]
        try:  # from before the first one: the interruption may come while a thread starts
            for future, call in of_tasks:
                self._pool.submit(settle, future, call)
            wait(pending, return_when=FIRST_EXCEPTION)
            for future in pending:
                if future.done():
                    future.result()
        except BaseException:
            self._source.waiting.end([future for future in pending if not future.cancel()])
            raise
        return [future.result() for future in pending]

    def _run(self, task: Callable[[Transaction], T]) -> T:
        return retrying(lambda: self._try(task), unless=SnapshotLost)

    def _try(self, task: Callable[[Transaction], T]) -> T:
        try:
            return task(self._transaction())
        except ConnectionLost:
            self._own.transaction = None
            raise

    def _transaction(self) -> Transaction:
        """The transaction of this thread."""
        if getattr(self._own, "transaction", None) is None:
            opening = self._source.transaction(self._name)
            self._own.transaction = self._stack.enter_context(opening)
        found: Transaction = self._own.transaction
        return found
