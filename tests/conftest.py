"""A real PostgreSQL for tests: one embedded server a session, one fresh database a test."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import pytest
from sqlalchemy.engine import make_url
from threadpoolctl import threadpool_limits

from feedrank.demo.server import embedded_server
from feedrank.extraction.postgres import retry
from tests.support.scratch import SCRATCH

ROOT = Path(__file__).parents[1]
NUMBERS = itertools.count()
# With `--no-loadscope-reorder`, as `make test`, they go first.
LONGEST = (
    "tests/test_pipeline.py",
    "tests/validation/test_hard_data.py",
    "tests/service/serving/test_process.py",
    "tests/test_leakage.py",
    "tests/extraction/check/test_company.py",
    "tests/test_parity.py",
)


@dataclass(frozen=True)
class TestDatabase:
    """A database of one test's own, with whatever the test puts into it."""

    __test__ = False
    url: str

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, committed together; the rows of the last one, if it gives any."""
        with (
            closing(self._connect()) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows

    def alone(self, statement: str) -> None:
        """Run a statement that must not be within a transaction, such as VACUUM."""
        with closing(self._connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def _connect(self) -> Any:
        url = make_url(self.url).set(drivername="postgresql")
        return psycopg2.connect(url.render_as_string(hide_password=False))

    def url_of(self, role: str, password: str | None = None) -> str:
        """The same database for another role."""
        url = make_url(self.url).set(username=role, password=password)
        return url.render_as_string(hide_password=False)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the scratch folder of a session, whose other processes inherit its name.

    DVC asks whether it may send usage data by a file in a repository, which those of tests lack.
    """
    os.environ["DVC_NO_ANALYTICS"] = "1"
    if SCRATCH not in os.environ:
        folder = TemporaryDirectory(prefix="feedrank-session-")
        os.environ[SCRATCH] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files first that take longest, lest one process works on the last one alone."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.split("::")[0], len(places)))


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """SIGINT as from a terminal: a session that began in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def alone() -> Iterator[None]:
    """One process of one thread: starting more takes longer than the work of most tests."""
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEEDRANK_WORKERS", "1")
        yield


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a broken connection be tried again at once."""
    monkeypatch.setattr(retry, "wait_random_exponential", lambda **_: lambda _: 0)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Lines that the library logs, as a stage shows them."""
    caplog.set_level(logging.INFO, "feedrank")
    return caplog


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an embedded server of this test session."""
    # Not below pytest's own folder: every session that starts closes it to other users, and a
    # server that is started by root runs as one of them.
    with (
        TemporaryDirectory(prefix="feedrank-") as directory,
        embedded_server(Path(directory) / "pgdata") as url,
    ):
        yield url


@pytest.fixture
def database(postgres: str) -> Iterator[TestDatabase]:
    """A fresh, empty database on a real server."""
    name = f"test_{next(NUMBERS)}"
    server = TestDatabase(postgres)
    server.alone(f"CREATE DATABASE {name}")
    yield TestDatabase(make_url(postgres).set(database=name).render_as_string(hide_password=False))
    server.alone(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def role(database: TestDatabase) -> Iterator[Callable[..., str]]:
    """Makes roles; gives the database's URL for each."""
    made: list[str] = []

    def make(name: str, *grants: str, password: str | None = None) -> str:
        secret = "" if password is None else " PASSWORD '" + password.replace("'", "''") + "'"
        database.execute(f"CREATE ROLE {name} LOGIN{secret}", *grants)
        made.append(name)
        return database.url_of(name, password)

    yield make
    for name in made:
        database.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def password_is_asked(postgres: str) -> Iterator[None]:
    """Makes the server ask everyone but its owner for a password."""
    server = TestDatabase(postgres)
    hba = Path(server.execute("SHOW hba_file")[0][0])
    before = hba.read_text()
    hba.write_text(f"local all postgres trust\nlocal all all scram-sha-256\n{before}")
    server.execute("SELECT pg_reload_conf()")
    yield
    hba.write_text(before)
    server.execute("SELECT pg_reload_conf()")
