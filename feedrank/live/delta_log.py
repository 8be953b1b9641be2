"""Delta log: what happens on the network after an artifact was made, durable in one SQLite file.

A follower and `POST /feed` append, every worker reads what came after the rows that it has. Rows
hold ids and moments of the source, so that any artifact can be brought forward by them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feedrank.errors import FeedrankError
from feedrank.io.writer_lock import turn
from feedrank.live.events import SOURCE, Events, Happened, HiddenPost, NewPost, NewUser, packed
from feedrank.state.catalogue import Id

APPLICATION, FORMAT = 0x66656564, 1  # "feed", as SQLite's `application_id` names whose file it is
POST = "post_id, text, topic, embedding"  # columns
MOST_ROWS = 100_000  # of one reading: 12 MB
PATIENCE_SECONDS = 30.0  # for another writer, whose commit takes milliseconds
# Ids keep the type that they come with. AUTOINCREMENT: a number is never used again, so that rows
# after one that was dropped are still found.
SEQ = "seq INTEGER PRIMARY KEY AUTOINCREMENT"
TABLES = f"""
CREATE TABLE events ({SEQ}, user_id NOT NULL, post_id NOT NULL, at INTEGER NOT NULL,
    kind INTEGER NOT NULL, event_id TEXT UNIQUE, UNIQUE (user_id, post_id, at, kind));
CREATE TABLE posts ({SEQ}, post_id NOT NULL UNIQUE, text TEXT NOT NULL, topic TEXT NOT NULL,
    embedding BLOB);
CREATE TABLE users ({SEQ}, user_id NOT NULL UNIQUE, profile TEXT NOT NULL);
CREATE TABLE hidden ({SEQ}, post_id NOT NULL, by TEXT NOT NULL, is_hidden INTEGER NOT NULL,
    UNIQUE (post_id, by));
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class DeltaLogError(FeedrankError):
    """A delta log that cannot be used."""


class DeltaLog:
    """The delta log of one file; several processes and threads may use it.

    Args:
        path: of the file, made if it is missing, for its owner alone.

    Raises:
        DeltaLogError: the file is none of this version, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._telling():
            _make(path)
            self._identity = _identity(path)
            self._file = sqlite3.connect(
                path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
            # A commit is on the disk when it returns, and readers do not wait for writers.
            for setting in ("journal_mode = WAL", "synchronous = FULL"):
                self._file.execute(f"PRAGMA {setting}")
            self._prepare()

    @property
    def is_there(self) -> bool:
        """Whether the path still names this file, which nobody has moved away or removed."""
        return _identity(self.path) == self._identity

    def append(self, happened: Happened) -> int:
        """Append, durable on return; how many events are new.

        The same event again (by its id, or by user, post, second and kind) is one, as are a post
        and a user.
        """
        with self._writing() as file:
            before = file.total_changes
            file.executemany(
                "INSERT INTO events (user_id, post_id, at, kind, event_id)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                happened.events,
            )
            n_new = file.total_changes - before
            file.executemany(
                f"INSERT INTO posts ({POST}) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(*post[:3], packed(*post[3:])) for post in happened.posts],
            )
            file.executemany(
                "INSERT INTO users (user_id, profile) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(user, json.dumps(profile, default=str)) for user, profile in happened.users],
            )
            for post, is_hidden in happened.hidden:
                _hide(file, post, happened.hidden_by, is_hidden)
            file.executemany(
                "INSERT OR REPLACE INTO marks VALUES (?, ?)", (happened.marks or {}).items()
            )
        return n_new

    def events_after(self, seq: int, most: int = MOST_ROWS) -> Events:
        """The next events after one, `most` at most."""
        return Events.of(self._read("seq, user_id, post_id, at, kind", "events", seq, most))

    def posts_after(self, seq: int) -> list[NewPost]:
        """The posts after one, in order of arrival."""
        return [NewPost.of_row(*row) for row in self._read(f"seq, {POST}", "posts", seq)]

    def users_after(self, seq: int) -> list[NewUser]:
        """The users after one, in order of arrival."""
        rows = self._read("seq, user_id, profile", "users", seq)
        return [NewUser(number, user, json.loads(profile)) for number, user, profile in rows]

    def hidden_after(self, seq: int) -> list[HiddenPost]:
        """The posts that were hidden or opened after a number, as they are by now, in order."""
        said = f"CASE WHEN max(is_hidden) THEN 1 WHEN max(by = '{SOURCE}') THEN 0 END"
        by_all = f"(SELECT {said} FROM hidden h WHERE h.post_id = hidden.post_id)"
        rows = self._read(f"seq, post_id, {by_all}", "hidden", seq)
        return [HiddenPost(n, post, None if h is None else bool(h)) for n, post, h in rows]

    def hidden_by(self, who: str) -> set[Id]:
        """The posts that somebody hides."""
        sql = "SELECT post_id FROM hidden WHERE by = ? AND is_hidden"
        with self._lock, self._telling():
            return {post for (post,) in self._file.execute(sql, [who])}

    def place(self) -> dict[str, int]:
        """Number of the last row of each table, by its name; 0 for none."""
        tables = ("events", "posts", "users", "hidden")
        columns = ", ".join(f"(SELECT coalesce(max(seq), 0) FROM {table})" for table in tables)
        with self._lock, self._telling():
            numbers = self._file.execute(f"SELECT {columns}").fetchone()
        return dict(zip(tables, numbers, strict=True))

    def mark(self, name: str) -> str | None:
        """What `append` last marked by this name."""
        with self._lock, self._telling():
            found = self._file.execute("SELECT value FROM marks WHERE name = ?", [name]).fetchone()
        return None if found is None else str(found[0])

    def drop_until(self, at: int) -> int:
        """Drop the events up to a second, which all artifacts that may be served hold; how many."""
        with self._writing() as file:
            return int(file.execute("DELETE FROM events WHERE at <= ?", [at]).rowcount)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _read(self, columns: str, table: str, seq: int, most: int = -1) -> list[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._lock, self._telling():
            return self._file.execute(sql, [seq, most]).fetchall()

    def _prepare(self) -> None:
        with self._writing() as file:
            (owner,) = file.execute("PRAGMA application_id").fetchone()
            (version,) = file.execute("PRAGMA user_version").fetchone()
            (n_tables,) = file.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not n_tables and not owner:
                for statement in TABLES.split(";")[:-1]:
                    file.execute(statement)
                file.execute(f"PRAGMA application_id = {APPLICATION}")
                file.execute(f"PRAGMA user_version = {FORMAT}")
            elif (owner, version) != (APPLICATION, FORMAT):
                raise DeltaLogError(
                    f"'{self.path}' is not a delta log of this version. Move it away: the service "
                    "starts a new one, and the follower reads again what the artifact lacks."
                )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed to the disk at the end."""
        with self._lock, self._telling():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:  # a full disk has ended it
                    self._file.execute("ROLLBACK")
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
            if not self.is_there:  # what was written to it is lost
                raise DeltaLogError(
                    f"the delta log '{self.path}' was moved away or removed while it was in use. "
                    "A new one is made: send again what was not acknowledged."
                )
        except (OSError, sqlite3.Error) as error:
            raise DeltaLogError(
                f"the delta log '{self.path}' cannot be used ({error}). Free some space if the "
                "disk is full; if the file is damaged, move it away: the service starts a new one, "
                "and the follower reads again what the artifact lacks."
            ) from error


def _make(path: Path) -> None:
    """Make an empty file for its owner alone, unless one is there."""
    if path.exists():
        return
    with turn(path.parent):
        if not path.exists():
            # SQLite would take the files beside a log that was moved away for those of the new one.
            for end in ("-wal", "-shm"):
                path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
            path.touch(mode=0o600)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def delta_log_of(state: Path, artifact: Path) -> Path:
    """Where the delta log of the artifact's link lies: a file of the state directory.

    Several services of one user may share a state directory, each with a link of its own.
    """
    name = os.path.abspath(artifact).strip("/").replace("%", "%25").replace("/", "%2F")
    return state / f"delta-{name[-180:]}.sqlite"


def _hide(file: sqlite3.Connection, post: Id, who: str, is_hidden: bool) -> None:
    """Note it unless it is so; the row moves to the end, so that readers see it."""
    of = "post_id = ? AND by = ?"
    last = file.execute(f"SELECT is_hidden FROM hidden WHERE {of}", [post, who]).fetchone()
    if bool(last and last[0]) != is_hidden:
        file.execute(f"DELETE FROM hidden WHERE {of}", [post, who])
        row = [post, who, is_hidden]
        file.execute("INSERT INTO hidden (post_id, by, is_hidden) VALUES (?, ?, ?)", row)
