from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from feedrank.extraction.source_state import buckets_for
from feedrank.log.files import Log
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import (
    VIEWS,
    counting,
    extraction,
    files,
    impressions,
    large,
    small,
)


def test_a_log_holds_the_views_of_the_table(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    meta = extraction(database.url, tmp_path).run()
    assert impressions(tmp_path) == [
        ("2021-10-01 06:00:00", 3, 20, 1),
        ("2021-10-02 08:00:00", 7, 10, 1),
        ("2021-10-02 08:00:11", 7, 30, 0),
        ("2021-10-03 23:59:59", 1, 20, 0),
    ]
    assert (meta.n_users, meta.n_posts, meta.n_impressions, meta.n_likes) == (3, 3, 4, 2)
    assert (meta.origin, meta.n_days, meta.source) == ("2021-10-01T00:00:00", 3, "database")


def test_a_large_log_is_equal_to_the_rows_that_sql_gives(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path).run()
    assert impressions(tmp_path) == sorted(database.execute(VIEWS))


def test_every_bucket_holds_its_own_users_in_the_order_of_the_log(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path, buckets=7).run()
    log = Log.open(tmp_path / "log")
    for number, rows in enumerate(log.buckets()):
        first, last = log.meta.user_range(number)
        assert ((rows.user >= first) & (rows.user < last)).all()
        assert np.array_equal(
            np.lexsort((rows.liked, rows.post, rows.user, rows.at)), range(len(rows))
        )


@pytest.mark.parametrize(("chunk_rows", "connections"), [(1000, 1), (1700, 3), (1_000_000, 2)])
def test_chunks_and_connections_do_not_change_a_byte(
    database: TestDatabase, tmp_path: Path, chunk_rows: int, connections: int
) -> None:
    large(database)
    extraction(database.url, tmp_path / "one").run()
    extraction(
        database.url, tmp_path / "other", chunk_rows=chunk_rows, connections=connections
    ).run()
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_the_order_of_rows_in_the_tables_does_not_change_a_byte(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path / "one").run()
    for table in ("user_data", "post_text_df", "feed_data"):
        database.execute(
            f"CREATE TABLE other AS SELECT * FROM {table} AS t ORDER BY md5(t::text)",
            f"DROP TABLE {table}",
            f"ALTER TABLE other RENAME TO {table}",
        )
    extraction(database.url, tmp_path / "other").run()
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_profiles_keep_every_fit_column_in_a_few_types(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        "ALTER TABLE user_data ADD is_new bool DEFAULT true, ADD score numeric DEFAULT 1.5, "
        "ADD born date DEFAULT '1990-01-01', ADD tags text[] DEFAULT '{a,\"b\nc\"}', "
        'ADD "Odd, ""name" real',
    )
    extraction(database.url, tmp_path).run()
    users = Log.open(tmp_path / "log").users
    assert {c: str(t) for c, t in users.dtypes.items()} == {
        "user_id": "int64", "gender": "int64", "age": "float64", "city": "str",
        "is_new": "int64", "score": "float64", "born": "datetime64[ms]",
        'Odd, "name': "float64",
    }  # fmt: skip
    assert users["user_id"].tolist() == [1, 3, 7]
    assert users["city"].isna().tolist() == [True, False, False]
    assert users["city"].tolist()[1:] == ["Kazan", ""]
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    assert report["left_out_columns"] == {"tags": "no value of at least 10 users and 1% of all"}


def test_posts_without_topic_and_text_are_posts(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute("ALTER TABLE post_text_df DROP topic")
    extraction(database.url, tmp_path).run()
    posts = Log.open(tmp_path / "log").posts
    assert posts.to_numpy().tolist() == [
        [10, "", "unknown"],
        [20, "b", "unknown"],
        [30, "c", "unknown"],
    ]


def test_posts_may_have_an_id_and_nothing_else(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute("ALTER TABLE post_text_df DROP topic, DROP text")
    extraction(database.url, tmp_path).run()
    posts = Log.open(tmp_path / "log").posts
    assert posts.to_numpy().tolist() == [[i, "", "unknown"] for i in (10, 20, 30)]


def test_users_may_have_an_id_and_nothing_else(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute(
        "ALTER TABLE user_data DROP gender, DROP age, DROP city",
        "ALTER TABLE user_data RENAME user_id TO id",
    )
    extraction(database.url, tmp_path).run()
    assert Log.open(tmp_path / "log").users["user_id"].tolist() == [1, 3, 7]


@pytest.mark.parametrize("kind", ["bool", "smallint", "bigint", "double precision", "numeric"])
def test_targets_may_be_of_any_type_of_number(
    database: TestDatabase, tmp_path: Path, kind: str
) -> None:
    small(database)
    through = "::int" if kind == "bool" else ""
    cast = f"target{through}::{kind}"
    database.execute(f"ALTER TABLE feed_data ALTER target TYPE {kind} USING {cast}")
    extraction(database.url, tmp_path).run()
    assert [liked for *_, liked in impressions(tmp_path)] == [1, 1, 0, 0]


@pytest.mark.parametrize("kind", ["varchar(10)", "char(10)", "feed_action"])
def test_actions_may_be_of_any_type_of_text(
    database: TestDatabase, tmp_path: Path, kind: str
) -> None:
    small(database)
    database.execute(
        "CREATE TYPE feed_action AS ENUM ('view', 'like')",
        f"ALTER TABLE feed_data ALTER action TYPE {kind} USING action::{kind}",
    )
    assert extraction(database.url, tmp_path).run().n_impressions == 4


def test_ids_may_need_all_of_64_bits(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute(
        "ALTER TABLE user_data ALTER user_id TYPE bigint",
        "ALTER TABLE feed_data ALTER user_id TYPE bigint, ALTER post_id TYPE bigint",
        "ALTER TABLE post_text_df ALTER post_id TYPE bigint",
        "UPDATE user_data SET user_id = user_id * 1000000000000000000",
        "UPDATE feed_data SET user_id = user_id * 1000000000000000000, post_id = -post_id",
        "UPDATE post_text_df SET post_id = -post_id",
    )
    extraction(database.url, tmp_path).run()
    assert impressions(tmp_path)[0] == ("2021-10-01 06:00:00", 3 * 10**18, -20, 1)


# What is said


def test_the_report_says_what_the_log_holds(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    extraction(database.url, tmp_path).run()
    assert json.loads((tmp_path / "reports" / "data.json").read_text()) == {
        "source": "database", "first_day": "2021-10-01", "last_moment": "2021-10-03T23:59:59",
        "days": 3, "users": 3, "posts": 3, "impressions": 4, "liked": 2, "like_rate": 0.5,
        "dropped": {
            "unknown_user": 0, "unknown_post": 0, "without_time": 0, "impossible_time": 0,
        },
        "repeated_rows": 0, "impossible_days": [], "left_out_columns": {},
        "source_rows": {"view": 4, "like": 2}, "like_rows_without_a_liked_view": 0,
    }  # fmt: skip
    assert (tmp_path / "reports" / "data_by_day.csv").read_text().splitlines() == [
        "day,impressions,liked,like_rate",
        "2021-10-01,1,1,1.000000",
        "2021-10-02,2,1,0.500000",
        "2021-10-03,1,0,0.000000",
    ]


def test_a_run_says_few_lines_where_there_is_no_terminal(
    database: TestDatabase,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    logged: pytest.LogCaptureFixture,
) -> None:
    large(database)
    extraction(database.url, tmp_path).run()
    assert capsys.readouterr() == ("", "")
    first, second = logged.messages
    assert first.startswith("extract: read 17,778 impressions in ")
    assert second.startswith("extract: 17,778 impressions of 50 users and 40 posts over 10 days")


DRAWN = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from stages.run import run
from tests.support.postgres_tables import extraction
run(extraction({url!r}, Path({directory!r}), chunk_rows=1000).run)
"""


def test_a_terminal_is_shown_rows_rows_a_second_and_the_time_left(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    script = DRAWN.format(root=str(ROOT), url=database.url, directory=str(tmp_path))
    ours, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 120))
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, stderr=terminal, check=True)
    os.close(terminal)
    drawn = os.read(ours, 65_536).decode()
    os.close(ours)
    bar = r"extract: 100%\|.*\| 17.8k/17.8k \[\d\d:\d\d<\d\d:\d\d, .*rows/s\]"
    assert re.search(bar, drawn)
    assert "extract: read 17,778 impressions in " in drawn


def test_nothing_is_left_in_the_spool(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    extraction(database.url, tmp_path).run()
    assert list((tmp_path / ".spool").iterdir()) == []


def test_repeated_rows_count_once_and_as_liked_if_one_is(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    expected = database.execute(VIEWS)
    database.execute(
        """INSERT INTO feed_data VALUES ('2021-10-02 08:00:00.5', 7, 10, 'view', 0),
             ('2021-10-02 08:00:00', 7, 10, 'view', 1), ('2021-10-01 06:00:00', 3, 20, 'view', 0)"""
    )
    meta = extraction(database.url, tmp_path).run()
    assert impressions(tmp_path) == expected
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    assert (report["repeated_rows"], meta.n_impressions) == (3, 4)
    # The rows are kept beside the log: nothing has to be read again.
    assert counting(extraction(database.url, tmp_path).run) == 0


@pytest.mark.parametrize(
    ("millions", "expected"),
    [(0, 8), (24, 8), (24.1, 16), (68.7, 32), (687, 256), (69_000, 4096)],
)
def test_a_larger_log_has_more_buckets_not_larger_ones(millions: float, expected: int) -> None:
    assert buckets_for(round(millions * 1e6), None) == expected
    assert buckets_for(round(millions * 1e6), 7) == 7
