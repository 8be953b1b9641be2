"""Errors of the driver as `SourceError`: what was found, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg2
from psycopg2 import errorcodes
from sqlalchemy import URL

from feedrank.errors import FeedrankError, SchemaError, SourceError
from feedrank.params import SourceParams

CHECK_DSN = "Check host, port, database, role and password in FEED_DSN."
MORE_CONNECTIONS = (
    "'extract.connections' + 1 are open at the same time, and for a moment one more: lower it, or "
    "raise the limit of the role, the database, the server or the pooler."
)
# Of a failed connection the driver knows no code.
TOO_MANY = re.compile("too many|connection slots are reserved|no more connections allowed")
TRANSIENT = {
    errorcodes.ADMIN_SHUTDOWN,
    errorcodes.CRASH_SHUTDOWN,
    errorcodes.CANNOT_CONNECT_NOW,
    errorcodes.TOO_MANY_CONNECTIONS,
    errorcodes.SERIALIZATION_FAILURE,  # a standby cancels queries that are in the way of its replay
    errorcodes.CONNECTION_FAILURE,
    errorcodes.CONNECTION_EXCEPTION,
    errorcodes.CONNECTION_DOES_NOT_EXIST,
}
SNAPSHOT_GONE = {errorcodes.UNDEFINED_OBJECT, errorcodes.INVALID_PARAMETER_VALUE}


class ConnectionLost(SourceError):
    """The connection broke, or the server is busy: trying again may help."""


class SnapshotLost(ConnectionLost):
    """The snapshot ended with the connection that exported it: a new one is needed."""


@dataclass(frozen=True)
class DriverErrors:
    """Errors of one database, whose passwords are in no message.

    Attributes:
        url: of the database.
        params: names of schema and tables, and the statement timeout.
    """

    url: URL
    params: SourceParams

    @property
    def name(self) -> str:
        """Host and database."""
        host = self.url.host or self.url.query.get("host", "localhost")
        return f"'{host}/{self.url.database or ''}'"

    def of_connecting(self, error: psycopg2.Error) -> SourceError:
        """Of a connection that was not made."""
        lost = error.pgcode in TRANSIENT or "starting up" in str(error)
        kind = ConnectionLost if lost else SourceError
        remedy = MORE_CONNECTIONS if TOO_MANY.search(str(error)) else CHECK_DSN
        return kind(f"cannot connect to {self.name}: {self._sentence(error)} {remedy}")

    def of_statement(self, error: psycopg2.Error) -> FeedrankError:
        """Of a statement that failed."""
        found = self._sentence(error)
        if error.pgcode in SNAPSHOT_GONE and "snapshot" in found:
            return SnapshotLost(f"the snapshot is gone: {found}")
        if error.pgcode in TRANSIENT or _is_broken(error):
            return ConnectionLost(
                f"the connection to {self.name} was lost: {found} Run again: what was read is kept."
            )
        if "query_wait_timeout" in found:
            return SourceError(f"the pooler gave no connection in time: {found} {MORE_CONNECTIONS}")
        if error.pgcode == errorcodes.QUERY_CANCELED:
            return SourceError(
                f"the database stopped a statement: {found} Raise 'source.statement_timeout' "
                f"(now {self.params.statement_timeout}) if that was the reason."
            )
        if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
            return SourceError(
                f"the role of FEED_DSN may not read what it needs: {found} It needs USAGE on "
                f"schema '{self.params.schema}' and SELECT on {self._relations()}."
            )
        if error.pgcode == errorcodes.INVALID_PARAMETER_VALUE and "time zone" in found:
            return SourceError(f"'source.time_zone' is not known to the database: {found}")
        if error.pgcode == errorcodes.CHARACTER_NOT_IN_REPERTOIRE:
            return SchemaError(
                f"text in '{self.params.users}' or '{self.params.posts}' is not UTF-8 (SQL_ASCII): "
                f"{found} Convert it in a view: convert_from(convert_to(x, 'SQL_ASCII'), 'LATIN1')."
            )
        return SourceError(f"the database refused a statement: {found}")

    def _relations(self) -> str:
        params = self.params
        names = (params.users, params.posts, params.feed, params.events)
        return ", ".join(f"'{name}'" for name in names if name is not None)

    def _sentence(self, error: Exception) -> str:
        """The first line of a message as a sentence, without any password of the URL."""
        text = " ".join(str(error).split("\nLINE ")[0].split())
        text += "." * (not text.endswith((".", "?", "!")))
        for secret in _secrets(self.url):
            text = text.replace(secret, "***")
        return text


def _is_broken(error: psycopg2.Error) -> bool:
    """Whether the driver itself noticed the loss, so that the error has no code.

    Within a COPY, such an error is a bare `DatabaseError`.
    """
    is_own = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return error.pgcode is None and (is_own or type(error) is psycopg2.DatabaseError)


def _secrets(url: URL) -> list[str]:
    secrets = [url.password, *(v for k, v in url.query.items() if "pass" in k)]
    return [str(s) for s in secrets if s]
