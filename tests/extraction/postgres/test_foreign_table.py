"""A foreign table, on a PostgreSQL of the machine: the embedded one has no foreign data wrapper."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from feedrank.extraction.postgres.feed_query import FeedSql
from tests.conftest import TestDatabase
from tests.support.postgres_tables import before, extraction, files, large, once

FOLDERS = [*map(Path, os.get_exec_path()), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
FOREIGN = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{folder}', dbname 'far');
CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'postgres');
DROP TABLE feed_data;
IMPORT FOREIGN SCHEMA public LIMIT TO (feed_data) FROM SERVER far INTO public;
"""


@dataclass(frozen=True)
class Pair:
    """The same small network twice; the feed of `near` is a foreign table that leads to `far`."""

    near: TestDatabase
    far: TestDatabase


@pytest.fixture
def pair() -> Iterator[Pair]:
    programs = next((f for f in reversed(FOLDERS) if (f / "initdb").exists()), None)
    if programs is None:
        pytest.skip("no PostgreSQL is installed beside the embedded one")
    # Not below pytest's own folder, which is closed to the user that the server runs as.
    with TemporaryDirectory(prefix="feedrank-") as name, _server(programs, Path(name)) as server:
        wrappers = "SELECT name FROM pg_available_extensions WHERE name = 'postgres_fdw'"
        if not server.execute(wrappers):
            pytest.skip(f"the PostgreSQL of '{programs}' has no postgres_fdw")
        server.alone("CREATE DATABASE far")
        found = Pair(server, TestDatabase(server.url.replace("/postgres?", "/far?")))
        large(found.far)
        large(found.near)
        found.near.execute(FOREIGN.format(folder=name))
        yield found


@contextmanager
def _server(programs: Path, folder: Path) -> Iterator[TestDatabase]:
    """A server of its own, on a local socket only; it refuses to run as root."""
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def run(program: str, *options: str) -> None:
        command = [programs / program, "-D", folder / "data", *options]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
    listen = f"-c listen_addresses= -c unix_socket_directories={folder}"
    run("pg_ctl", "start", "--wait", "--log", str(folder / "log"), "--options", listen)
    try:
        yield TestDatabase(f"postgresql+psycopg2://postgres@/postgres?host={folder}")
    finally:
        run("pg_ctl", "stop", "--mode", "fast")


def test_a_foreign_table_is_read_as_one_stream(
    pair: Pair, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    extraction(pair.far.url, tmp_path / "far").run()
    assert "one stream" not in logged.text
    extraction(pair.near.url, tmp_path / "near").run()
    assert "'feed_data' is a foreign table: reading it as one stream" in logged.text
    assert files(tmp_path / "near") == files(tmp_path / "far")


def test_rows_that_arrive_at_the_far_end_meanwhile_are_out_as_a_whole(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    extraction(pair.far.url, tmp_path / "far").run()
    arrive = once(lambda: pair.far.execute("INSERT INTO feed_data SELECT * FROM feed_data"))
    before(monkeypatch, FeedSql, "stream", arrive)
    extraction(pair.near.url, tmp_path / "near").run()
    assert arrive.done  # type: ignore[attr-defined]
    assert "Reading everything again" not in logged.text
    assert files(tmp_path / "near") == files(tmp_path / "far")
