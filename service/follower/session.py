"""Session: one connection for all polls, on which a trigger's notification ends the wait."""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from feedrank.extraction.postgres.connection import Source, Transaction

CHANNEL = "feedrank"


@dataclass(frozen=True)
class Moment:
    """The transactions that one snapshot sees.

    Attributes:
        oldest: number of the oldest one that was still open; what was committed by older ones is
            seen.
        next: number of the first one that had not begun.
    """

    oldest: int
    next: int


class Session:
    """A connection to the source, from `opened`."""

    def __init__(self, source: Source, connection: Any) -> None:
        self._source = source
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, source: Source) -> Iterator[Session]:
        """A session that hears notifications, but for those of a standby, which has none.

        Raises:
            SourceError: the database cannot be reached.
        """
        with source.session() as connection:
            session = cls(source, connection)
            with session.transaction() as transaction:
                if not transaction.rows("SELECT pg_is_in_recovery()")[0][0]:
                    transaction.rows(f"LISTEN {CHANNEL}")
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A read-only transaction; after an error the session is of no more use."""
        yield self._source.begin(self._connection)
        with self._source.translated():
            self._connection.commit()

    def wait(self, seconds: float) -> None:
        """Return at a notification, and after some seconds in any case."""
        with self._source.translated():
            self._connection.poll()
            if not self._connection.notifies:
                self._readable(seconds)
                self._connection.poll()
            self._connection.notifies.clear()

    def _readable(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            selector.select(seconds)


def moment(transaction: Transaction) -> Moment:
    """The transactions that this one sees."""
    ((oldest, following),) = transaction.rows(
        "SELECT txid_snapshot_xmin(s), txid_snapshot_xmax(s) FROM txid_current_snapshot() s"
    )
    return Moment(int(oldest), int(following))


def is_new(since: Moment | None) -> str:
    """Condition for rows that were not yet seen at a moment, and maybe a few that were."""
    return "TRUE" if since is None else f"age(xmin) <= age('{since.oldest % 2**32}'::xid)"
