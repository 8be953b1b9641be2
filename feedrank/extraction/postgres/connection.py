"""Connections to the database, and read-only transactions on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from sqlalchemy import URL, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from feedrank.errors import SourceError
from feedrank.extraction.postgres.driver_errors import DriverErrors
from feedrank.extraction.postgres.waiting import CLIENT_CHECK, Waiting
from feedrank.params import SourceParams

T = TypeVar("T")
EXAMPLE = "postgresql://user:password@host:5432/database"
# Text forms must not depend on the settings of a role, and no plan may be compiled for every chunk.
SETTINGS = {
    "application_name": "feedrank",
    "datestyle": "ISO, YMD",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
}
# Transactions that share a snapshot must scan ranges of blocks of a table, and hash the few groups;
# the planner lacks statistics of the expressions. Of a view's seconds they would make minutes.
BLOCK_SCANS = dict.fromkeys(("enable_indexscan", "enable_bitmapscan", "enable_sort"), "off")
# Seconds. Else a host that drops packets costs minutes, a broken connection hours.
NETWORK = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


class Transaction:
    """One read-only transaction, whose statements all see the same snapshot."""

    def __init__(self, connection: Any, source: Source) -> None:
        self._connection = connection
        self._source = source

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows of a query; none of a statement that is not one."""

        def fetch(cursor: Any) -> list[tuple[Any, ...]]:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

        return self._waited(fetch)

    def columns(self, query: str) -> list[tuple[str, int]]:
        """Name and type's number of each column of a query."""

        def fetch(cursor: Any) -> list[tuple[str, int]]:
            cursor.execute(query)
            return [(column.name, column.type_code) for column in cursor.description]

        return self._waited(fetch)

    def copy(self, query: str, options: str, sink: Any) -> None:
        """Send the rows of a query to the `write` of a sink, in a form of COPY."""
        statement = f"COPY ({query}) TO STDOUT ({options})"
        self._waited(lambda cursor: cursor.copy_expert(statement, sink))

    def _waited(self, use: Callable[[Any], T]) -> T:
        with self._source.translated(), self._connection.cursor() as cursor:
            return self._source.waiting.result(lambda: use(cursor))


class Source:
    """A PostgreSQL database that is only read.

    Args:
        dsn: a SQLAlchemy URL. Its password is in no message.
        params: names of schema, tables and columns, and the statement timeout.
    """

    def __init__(self, dsn: str, params: SourceParams) -> None:
        self.params = params
        url = _url(dsn)
        self._errors = DriverErrors(url, params)
        # One connection for each transaction: a pooled one could carry another's settings.
        network = {k: v for k, v in NETWORK.items() if k not in url.query}
        self._engine = create_engine(
            url, poolclass=NullPool, pool_reset_on_return=None, connect_args=network
        )
        self.waiting = Waiting(self._engine.raw_connection)

    @contextmanager
    def transaction(self, snapshot: str | None = None) -> Iterator[Transaction]:
        """A read-only transaction.

        Args:
            snapshot: one that another transaction exported; a new one by default.

        Raises:
            SourceError: the database cannot be reached or lets this role not in, or the snapshot
                is gone (`SnapshotLost`).
        """
        with self.session() as connection:
            yield self.begin(connection, snapshot)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A connection of the driver's for transactions that `begin` begins, one after another."""
        with closing(self.connect()) as connection, self.waiting.open(connection.driver_connection):
            with self.translated():
                connection.set_session(
                    isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True
                )
            yield connection

    def begin(self, connection: Any, snapshot: str | None = None) -> Transaction:
        """The next read-only transaction of a session's connection; raises as `transaction`."""
        transaction = Transaction(connection, self)
        settings = {
            **SETTINGS,
            "statement_timeout": f"{self.params.statement_timeout_seconds}s",
        }
        if snapshot is not None:
            transaction.rows(f"SET TRANSACTION SNAPSHOT {literal(snapshot)}")
            settings |= BLOCK_SCANS
        # LOCAL: behind a pooler, a setting of the session would stay for its next user.
        transaction.rows(
            ";".join(f"SET LOCAL {k} TO {literal(value)}" for k, value in settings.items())
        )
        transaction.rows(CLIENT_CHECK)
        return transaction

    def connect(self) -> Any:
        """A connection of the driver's; raises `SourceError`."""
        try:
            return self._engine.raw_connection()
        except psycopg2.Error as error:
            raise self._errors.of_connecting(error) from None

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the driver into `SourceError`."""
        try:
            yield
        except psycopg2.Error as error:
            raise self._errors.of_statement(error) from None

    def __str__(self) -> str:
        return self._errors.name


def quoted(name: str) -> str:
    """An SQL identifier of any name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string constant; needs `standard_conforming_strings`, which every transaction sets."""
    return "'" + text.replace("'", "''") + "'"


def _url(dsn: str) -> URL:
    try:
        url = make_url(dsn.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):
        # The text itself stays out of the message: it may hold a password.
        raise SourceError(f"FEED_DSN is not a URL such as '{EXAMPLE}'.") from None
    if "@" in f"{url.host}{url.database}":
        # A bare '@' ends the password: the rest of it would be taken for a host, and be named.
        raise SourceError(
            "the password in FEED_DSN holds a bare '@'. Percent-encode its special characters: "
            "'@' is '%40', '/' is '%2F', '%' is '%25'."
        )
    if url.get_backend_name() != "postgresql":
        raise SourceError(
            f"FEED_DSN must lead to PostgreSQL, as in '{EXAMPLE}', "
            f"but its scheme is '{url.drivername}'."
        )
    return url.set(drivername="postgresql+psycopg2")
