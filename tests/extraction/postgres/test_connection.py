from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from feedrank.errors import SourceError
from feedrank.extraction.environment import Database
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.postgres.driver_errors import ConnectionLost, SnapshotLost
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import DEFAULTS, extraction, large, small, source_params

SECRET = "p@ss/w:o%rd #'\"\\?&=ü"


def _source(url: str) -> Source:
    return Source(url, DEFAULTS.source)


@pytest.mark.parametrize(
    "dsn", ["no url", "postgresql://host:port:secret/x", "secret", "//role:secret@host/x"]
)
def test_what_is_no_url_is_refused_and_not_repeated(dsn: str) -> None:
    with pytest.raises(SourceError, match="FEED_DSN is not a URL such as") as caught:
        _source(dsn)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["pass@secret", "pass@se/cret", "@secret", "a@secret#1"])
def test_a_bare_at_sign_in_a_password_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(SourceError, match=r"bare '@'.*Percent-encode") as caught:
        _source(f"postgresql://role:{password}@host/network")
    assert "se" not in str(caught.value).replace("its special characters", "")


def test_another_database_than_postgresql_is_refused() -> None:
    with pytest.raises(SourceError, match=r"must lead to PostgreSQL.*its scheme is 'mysql'"):
        _source("mysql://role:secret@host/network")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_usual_scheme_is_accepted(database: TestDatabase, scheme: str) -> None:
    url = database.url.replace("postgresql+psycopg2", scheme, 1)
    with _source(url).transaction() as transaction:
        assert transaction.rows("SELECT 1") == [(1,)]


def test_an_unreachable_server_is_named_and_its_password_is_not() -> None:
    source = _source("postgresql://role:secret@127.0.0.1:1/network?sslpassword=hush")
    with (
        pytest.raises(
            SourceError,
            match=r"cannot connect to '127.0.0.1/network'.*[^?.][?.] Check host.*FEED_DSN",
        ) as caught,
        source.transaction(),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_missing_database_is_named(database: TestDatabase) -> None:
    url = database.url.replace("/test_", "/missing_")
    with (
        pytest.raises(SourceError, match=r'database "missing_.*does not exist'),
        _source(url).transaction(),
    ):
        pass


def test_a_wrong_password_is_refused(
    role: Callable[..., str], password_is_asked: None, database: TestDatabase
) -> None:
    role("asked", password="right")
    url = database.url_of("asked", "wrong")
    with (
        pytest.raises(SourceError, match="password authentication failed") as caught,
        _source(url).transaction(),
    ):
        pass
    assert "wrong" not in str(caught.value)


GRANTS = "GRANT SELECT ON user_data, post_text_df, feed_data TO {role}"


def test_a_password_with_special_characters_is_in_no_log_error_or_file(
    database: TestDatabase,
    role: Callable[..., str],
    password_is_asked: None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small(database)
    url = role("special", GRANTS.format(role="special"), password=SECRET)
    caplog.set_level(logging.DEBUG)
    extraction(url, tmp_path).run()
    database.execute("REVOKE SELECT ON feed_data FROM special")
    with pytest.raises(SourceError, match="permission denied") as caught:
        extraction(url, tmp_path).run()
    said = "".join([*capsys.readouterr(), caplog.text, str(caught.value), repr(caught.value)])
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    for form in (SECRET, quote(SECRET), quote(SECRET, safe="")):
        assert form not in said
        assert form.encode() not in written


def test_a_stage_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FEED_DSN": f"postgresql://role:{quote(SECRET, safe='')}@127.0.0.1:1/network",
    }
    for stage in ("source", "extract"):
        ended = subprocess.run(
            [sys.executable, "-m", f"stages.{stage}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: cannot connect to '127.0.0.1/network'")
        assert "Traceback" not in ended.stderr
        assert "p@ss" not in ended.stderr + ended.stdout
        assert quote("p@ss", safe="") not in ended.stderr + ended.stdout


def test_offline_the_source_stays_and_nothing_is_extracted(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "source.json").write_text("as it was")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FEED_OFFLINE": "1"}
    source, extract = (
        subprocess.run(
            [sys.executable, "-m", f"stages.{stage}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )
        for stage in ("source", "extract")
    )  # fmt: skip
    assert (source.returncode, extract.returncode) == (0, 1)
    assert (tmp_path / "data" / "source.json").read_text() == "as it was"
    assert extract.stderr.startswith("error: FEED_OFFLINE is set, but the database must be read")


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_wrong_parameter_of_a_later_stage_stops_the_first_one(
    tmp_path: Path, offline: str
) -> None:
    params = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("  folds: ", "  foldz: "))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "source.json").write_text("as it was")
    ended = subprocess.run(
        [sys.executable, "-m", "stages.source"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FEED_OFFLINE": offline},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "unknown parameter 'validate.foldz'; known are" in ended.stderr


# Polite


def test_a_role_that_may_only_select_is_enough(
    database: TestDatabase, role: Callable[..., str], tmp_path: Path
) -> None:
    large(database)
    database.execute("REVOKE CREATE, USAGE ON SCHEMA public FROM PUBLIC")
    url = role("reader", "GRANT USAGE ON SCHEMA public TO reader", GRANTS.format(role="reader"))
    assert extraction(url, tmp_path).run().n_impressions == 17_778


def test_a_role_without_rights_is_told_which_it_needs(
    database: TestDatabase, role: Callable[..., str], tmp_path: Path
) -> None:
    small(database)
    url = role("nobody")
    needed = r"permission denied for table user_data.*SELECT on 'user_data', 'post_text_df', 'f"
    with pytest.raises(SourceError, match=needed):
        extraction(url, tmp_path).run()


def test_nothing_can_be_written(database: TestDatabase) -> None:
    with (
        _source(database.url).transaction() as transaction,
        pytest.raises(SourceError, match="read-only transaction"),
    ):
        transaction.rows("CREATE TABLE new (id int)")


def test_a_transaction_says_who_it_is_and_how_long_it_may_take(database: TestDatabase) -> None:
    source = Source(database.url, source_params(statement_timeout="3min"))
    with source.transaction() as transaction:
        assert transaction.rows("SHOW application_name") == [("feedrank",)]
        assert transaction.rows("SHOW statement_timeout") == [("3min",)]
        assert transaction.rows("SHOW transaction_isolation") == [("repeatable read",)]


def test_a_statement_that_takes_too_long_names_its_parameter(database: TestDatabase) -> None:
    with _source(database.url).transaction() as transaction:
        transaction.rows("SET LOCAL statement_timeout = 20")
        with pytest.raises(
            SourceError, match=r"statement timeout. Raise 'source.statement_timeout'"
        ):
            transaction.rows("SELECT pg_sleep(30)")


def test_transactions_of_one_snapshot_see_the_same(database: TestDatabase) -> None:
    large(database)
    source = _source(database.url)
    with source.transaction() as first:
        snapshot = first.rows("SELECT pg_export_snapshot()")[0][0]
        database.execute("DELETE FROM feed_data")
        with source.transaction(snapshot) as second:
            assert second.rows("SELECT count(*) FROM feed_data") == [(20_000,)]
        with source.transaction() as third:
            assert third.rows("SELECT count(*) FROM feed_data") == [(0,)]


def test_a_snapshot_ends_with_the_transaction_that_exported_it(database: TestDatabase) -> None:
    source = _source(database.url)
    with source.transaction() as first:
        snapshot, pid = first.rows("SELECT pg_export_snapshot(), pg_backend_pid()")[0]
    while database.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"):
        pass  # the server notices the end of a connection by and by
    with pytest.raises(SnapshotLost, match="snapshot is gone"), source.transaction(snapshot):
        pass


def test_a_connection_that_the_server_ended_may_be_tried_again(database: TestDatabase) -> None:
    with _source(database.url).transaction() as transaction:
        pid = transaction.rows("SELECT pg_backend_pid()")[0][0]
        database.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(ConnectionLost, match="Run again: what was read is kept"):
            transaction.rows("SELECT 1")


# Which database


def test_an_unset_dsn_does_not_put_the_demo_in_the_place_of_a_real_log(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(database)
    extraction(database.url, tmp_path).run()
    monkeypatch.delenv("FEED_DSN", raising=False)
    monkeypatch.delenv("FEED_OFFLINE", raising=False)
    opening = Database.of_environment(tmp_path / "demo", tmp_path / "log", DEFAULTS)
    with pytest.raises(SourceError, match=r"FEED_DSN is not set, but .* FEED_DSN=demo"), opening:
        pass
    assert not (tmp_path / "demo").exists()


def test_the_database_of_the_dsn_is_a_real_one(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEED_DSN", database.url)
    monkeypatch.delenv("FEED_OFFLINE", raising=False)
    with Database.of_environment(tmp_path / "demo", tmp_path / "log", DEFAULTS) as found:
        found.copy_truth(tmp_path / "truth")
    assert found.name == "database"
    assert [p.name for p in (tmp_path / "truth").iterdir()] == ["none.json"]
