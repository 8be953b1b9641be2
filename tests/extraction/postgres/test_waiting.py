from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Thread, main_thread
from typing import Any

import psycopg2
import pytest

from feedrank.errors import SourceError
from feedrank.extraction.postgres import snapshot as snapshots
from feedrank.extraction.postgres import waiting
from feedrank.extraction.postgres.connection import Source, Transaction
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.postgres.waiting import Waiting
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import DEFAULTS, small

LONG = 10_000  # seconds that the server sleeps, unless it is stopped
SLEEPY = f"""ALTER TABLE feed_data RENAME TO rows;
    CREATE VIEW feed_data AS SELECT rows.* FROM rows, pg_sleep({LONG})"""
AT_WORK = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'feedrank' AND state = 'active'"""
SLEEP = f"SELECT pg_sleep({LONG})"


def _until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition; a test that waits in vain fails."""
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at, "waited in vain"
        Event().wait(0.02)


def _n_at_work(database: TestDatabase) -> int:
    return int(database.execute(AT_WORK)[0][0])


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
@pytest.mark.parametrize("stage", ["source", "extract"])
def test_a_stage_that_is_stopped_leaves_no_statement_on_the_server(
    database: TestDatabase, tmp_path: Path, stage: str, number: int, code: int
) -> None:
    small(database)
    database.execute(SLEEPY)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FEED_DSN": database.url},
    )  # fmt: skip
    _until(lambda: _n_at_work(database) > 0)
    process.send_signal(number)
    _until(lambda: _n_at_work(database) == 0)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert "Traceback" not in said


def test_an_interruption_ends_the_statements_of_parallel_connections(
    database: TestDatabase,
) -> None:
    tasks = [partial(Transaction.rows, statement=SLEEP)] * 2

    def interrupt() -> None:
        try:
            _until(lambda: _n_at_work(database) == len(tasks))
        finally:
            signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)

    Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt), Snapshot.of(_source(database), 2) as snapshot:
        snapshot.each(tasks)
    assert _n_at_work(database) == 0


def test_an_interruption_while_a_thread_starts_ends_its_statement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = Event()

    class Interrupted(Thread):
        def start(self) -> None:
            super().start()
            raise KeyboardInterrupt

    class Connection:
        def cancel(self) -> None:
            ended.set()

    monkeypatch.setattr(waiting, "Thread", Interrupted)
    source = Waiting(lambda: None)
    with pytest.raises(KeyboardInterrupt), source.open(Connection()):
        source.result(partial(ended.wait, 4))
    assert ended.is_set()


def test_an_interruption_while_tasks_are_handed_out_ends_those_at_work(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = Event()

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *task: Any, **named: Any) -> Any:
            super().submit(*task, **named)
            _until(lambda: _n_at_work(database) > 0)
            raise KeyboardInterrupt

    def sleep(transaction: Transaction) -> None:
        transaction.rows("SELECT pg_sleep(4)")
        finished.set()

    monkeypatch.setattr(snapshots, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt), Snapshot.of(_source(database), 2) as snapshot:
        snapshot.each([sleep, sleep])
    assert not finished.is_set()
    assert _n_at_work(database) == 0


def test_a_statement_that_begins_after_an_interruption_is_ended_too(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, interrupted, finished, cancel = Event(), Event(), Event(), Waiting.cancel

    def cancel_and_tell(self: Waiting) -> None:
        cancel(self)
        interrupted.set()

    def late(transaction: Transaction) -> None:
        begun.set()
        interrupted.wait(30)
        transaction.rows("SELECT pg_sleep(4)")
        finished.set()

    def interrupt(_: Transaction) -> None:
        begun.wait(30)
        raise SourceError("stop")

    monkeypatch.setattr(Waiting, "cancel", cancel_and_tell)
    with (
        pytest.raises(SourceError, match="stop"),
        Snapshot.of(_source(database), 2) as snapshot,
    ):
        snapshot.each([late, interrupt])
    assert interrupted.is_set()
    assert not finished.is_set()


def test_a_wait_says_who_holds_it_up(
    database: TestDatabase, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEAT_SECONDS", 0.05)
    small(database)
    locker = psycopg2.connect(database.url.replace("+psycopg2", ""))
    locker.cursor().execute("LOCK TABLE feed_data")
    held = f"waits for Lock relation, held up by the locks of process {locker.info.backend_pid}"

    class Unlock(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            locker.rollback()

    handler = Unlock()
    waiting.logger.addHandler(handler)
    try:
        with _source(database).transaction() as transaction:
            assert transaction.rows("SELECT count(*) FROM feed_data") == [(6,)]
    finally:
        waiting.logger.removeHandler(handler)
        locker.close()
    assert held in logged.text


def test_a_pool_that_gives_no_second_connection_is_named(
    logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "ANSWER_SECONDS", 0.02)
    asked: list[Event] = []

    def full_pool() -> None:
        asked.append(Event())
        asked[-1].wait()

    said = "lower 'extract.connections', or enlarge its pool"
    beats = partial(_until, lambda: logged.text.count(said) >= 3)
    Waiting(full_pool).result(beats)
    assert len(asked) == 1, "each line asks once more, and takes one more place in the queue"


def test_too_few_connections_are_named_with_the_remedy(
    database: TestDatabase, role: Callable[..., str]
) -> None:
    url = role("narrow", "ALTER ROLE narrow CONNECTION LIMIT 1")
    with (
        pytest.raises(SourceError, match=r"too many connections for role.*'extract.connections' "),
        Snapshot.of(Source(url, DEFAULTS.source), 2) as snapshot,
    ):
        snapshot.each([partial(Transaction.rows, statement="SELECT 1")])


def test_only_ranges_of_a_table_get_planner_settings(database: TestDatabase) -> None:
    show = "SHOW enable_indexscan"
    with Snapshot.of(_source(database), 1) as snapshot:
        assert snapshot.first.rows(show) == [("on",)]
        assert snapshot.each([partial(Transaction.rows, statement=show)]) == [[("off",)]]


def test_a_connection_that_another_thread_closed_is_passed_by(
    database: TestDatabase, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEAT_SECONDS", 0.02)
    source = _source(database)
    with source.session() as connection:
        connection.close()
        source.waiting.cancel()
        said = "to ask what it does, failed (InterfaceError)"
        source.waiting.result(partial(_until, lambda: said in logged.text))


def _source(database: TestDatabase) -> Source:
    return Source(database.url, DEFAULTS.source)
