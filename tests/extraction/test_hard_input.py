from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from feedrank.errors import FeedrankError, SchemaError, SourceError
from feedrank.log.files import Log
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    VIEWS,
    extract_params,
    extraction,
    impressions,
    large,
    small,
    source_params,
)

# Times


def test_moments_with_a_zone_become_the_clock_of_the_parameters(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        "SET timezone = 'UTC'",
        "ALTER TABLE feed_data ALTER timestamp TYPE timestamptz",
        "ALTER ROLE postgres SET timezone = 'Asia/Tokyo'",
    )
    extraction(database.url, tmp_path / "utc").run()
    moscow = source_params(time_zone="Europe/Moscow")
    meta = extraction(database.url, tmp_path / "moscow", moscow).run()
    database.execute("ALTER ROLE postgres RESET timezone")
    assert impressions(tmp_path / "utc")[0][0] == "2021-10-01 06:00:00"
    assert impressions(tmp_path / "moscow")[0][0] == "2021-10-01 09:00:00"
    assert impressions(tmp_path / "moscow")[-1][0] == "2021-10-04 02:59:59"
    assert meta.n_days == 4


def test_an_unknown_zone_is_named(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute("ALTER TABLE feed_data ALTER timestamp TYPE timestamptz")
    with pytest.raises(SourceError, match=r"'source.time_zone' is not known.*Nowhere"):
        extraction(database.url, tmp_path, source_params(time_zone="Nowhere")).run()


def test_days_without_a_time_of_day_are_their_midnight(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute("ALTER TABLE feed_data ALTER timestamp TYPE date")
    extraction(database.url, tmp_path).run()
    assert impressions(tmp_path)[-1][0] == "2021-10-03 00:00:00"


def test_the_origin_is_the_midnight_before_the_first_impression_that_is_kept(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute("INSERT INTO feed_data VALUES ('1999-12-31 23:59:59', 999, 10, 'view', 0)")
    meta = extraction(database.url, tmp_path, max_orphan_share=0.5).run()
    assert meta.origin == "2021-10-01T00:00:00"
    assert impressions(tmp_path)[0][0] == "2021-10-01 06:00:00"


# What is refused, and what is left out


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE feed_data", "has no table 'feed_data'; it has 'post_text_df', 'user_data'"),
        ("ALTER TABLE feed_data DROP target", "'feed_data' has no column 'target', only 'timest"),
        ("ALTER TABLE user_data DROP user_id", r"'user_data' has no column 'user_id' \(or 'id'\)"),
        ("ALTER TABLE feed_data ALTER user_id TYPE text", "int4 in 'user_data' and 'user_id' is"),
        ("ALTER TABLE feed_data ALTER timestamp TYPE text", "'timestamp' of 'feed_data' must h"),
        ("ALTER TABLE feed_data ALTER target TYPE text", "'target' of 'feed_data' must hold 0"),
        ("TRUNCATE feed_data", "'feed_data' holds no rows of action 'view'"),
        ("TRUNCATE user_data", "table 'user_data' is empty"),
        ("TRUNCATE post_text_df", "table 'post_text_df' is empty"),
        ("UPDATE feed_data SET action = 'share' WHERE user_id = 1", "'action'.*also holds 'share'"),
        ("UPDATE feed_data SET action = NULL WHERE user_id = 1", "'action'.*also holds 'NULL'"),
        ("UPDATE feed_data SET target = 2 WHERE user_id = 1",
         r"'target'.*also holds '2'\. Make a view that filters such rows out, and name it"),
        ("UPDATE feed_data SET target = NULL WHERE user_id = 1",
         r"also holds 'NULL'.* or has coalesce\(target, 0\) if NULL means 'not liked', and name"),
        ("INSERT INTO user_data VALUES (3)", r"'user_id' of 'user_data' must be unique.*\[3\]"),
        ("INSERT INTO post_text_df VALUES (10)", r"'post_id' of 'post_text_df' must be u.*\[10\]"),
        ("INSERT INTO user_data VALUES (NULL)", "'user_id' of 'user_data' holds NULL"),
        ("UPDATE feed_data SET user_id = 2", "4 of 4 impressions cannot be used: 4 are of users"),
        ("UPDATE feed_data SET timestamp = timestamp - interval '300 years' WHERE user_id = 1",
         "the feed spans .* days .*, more than 49,710"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_a_reason(
    database: TestDatabase, tmp_path: Path, statement: str, message: str
) -> None:
    small(database)
    database.execute(statement)
    with pytest.raises(FeedrankError, match=message):
        extraction(database.url, tmp_path).run()
    assert not (tmp_path / "log").exists()


def test_impressions_of_the_unknown_are_counted_and_left_out(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        """INSERT INTO feed_data VALUES
             ('2021-10-02', 999, 10, 'view', 1), ('2021-10-02', NULL, 10, 'view', 0),
             ('2021-10-02', 999, 999, 'view', 0), ('2021-10-02', 7, 999, 'view', 1),
             ('2021-10-02', -1, 10, 'view', 1), ('2021-10-02', 7, NULL, 'view', 1),
             (NULL, 7, 10, 'view', 1), ('infinity', 7, 10, 'view', 0),
             ('-infinity', 7, 10, 'view', 0), (NULL, NULL, NULL, 'like', NULL)"""
    )
    extraction(database.url, tmp_path, max_orphan_share=0.9).run()
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    # A missing id cannot be told from an unknown one; who misses any is of an unknown user.
    assert report["dropped"] == {
        "unknown_user": 5, "unknown_post": 1, "without_time": 3, "impossible_time": 0,
    }  # fmt: skip
    assert report["impressions"] == 4


def test_too_many_of_the_unknown_stop_the_run(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute("DELETE FROM post_text_df WHERE post_id = 30")
    with pytest.raises(
        SchemaError, match=r"1 of 4 .*1 of posts.*max_orphan_share' \(now 0.2\).*your-data"
    ):
        extraction(database.url, tmp_path, max_orphan_share=0.2).run()
    assert extraction(database.url, tmp_path, max_orphan_share=0.25).run().n_impressions == 3


# Windows and shares


def test_a_window_holds_its_first_moment_and_not_its_last(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    window = {"since": "2021-10-02T08:00:00", "until": "2021-10-02T08:00:11"}
    meta = extraction(database.url, tmp_path, **window).run()
    assert impressions(tmp_path) == [("2021-10-02 08:00:00", 7, 10, 1)]
    assert meta.n_users == 3


def test_an_empty_window_is_refused(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    with pytest.raises(SchemaError, match=r"in the window of 'extract.since'"):
        extraction(database.url, tmp_path, since="2030-01-01").run()


def test_a_share_without_users_is_refused(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    with pytest.raises(SchemaError, match=r"'extract.user_share' is 1e-06, which leaves no user"):
        extraction(database.url, tmp_path, user_share=1e-6).run()


@pytest.mark.parametrize("text", ["yesterday", "2021-10-01T00:00:00+03:00", "2021-13-01"])
def test_a_window_that_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a date or a moment of the database's own clock"):
        extract_params(since=text)


def test_a_share_holds_whole_users_and_a_smaller_one_is_part_of_it(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    every = database.execute(VIEWS)
    kept = {}
    for share in (0.2, 0.6):
        extraction(database.url, tmp_path / str(share), user_share=share).run()
        kept[share] = set(Log.open(tmp_path / str(share) / "log").users["user_id"])
        rows = [row for row in every if row[1] in kept[share]]
        assert impressions(tmp_path / str(share)) == sorted(rows)
    assert 0 < len(kept[0.2]) < len(kept[0.6]) < 50
    assert kept[0.2] < kept[0.6]


def test_a_zone_with_summer_time_travels_in_the_log(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute(
        """ALTER TABLE feed_data ALTER timestamp TYPE timestamptz
             USING timestamp AT TIME ZONE 'UTC' + interval '29 days'"""
    )
    names = source_params(time_zone="Europe/Berlin")
    meta = extraction(database.url, tmp_path, names).run()
    assert meta.time_zone == "Europe/Berlin"
    assert [shift for _, shift in meta.offsets[:2]] == [7200, 3600]
    assert meta.offsets[1][0] == datetime(2021, 10, 31, 1, tzinfo=UTC).timestamp()
    rows = database.execute(
        "SELECT date_trunc('second', timestamp) FROM feed_data WHERE action = 'view' ORDER BY 1"
    )
    shown = [datetime.fromisoformat(at) for at, *_ in impressions(tmp_path)]
    assert [meta.local(at) for (at,) in rows] == shown
    assert [meta.utc(at) for at in shown] == [at for (at,) in rows]


def test_text_that_is_not_utf_8_is_named_and_not_repeated(
    database: TestDatabase, tmp_path: Path
) -> None:
    database.alone("CREATE DATABASE ascii ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0")
    name = make_url(database.url).set(database="ascii")
    ascii_database = TestDatabase(name.render_as_string(hide_password=False))
    try:
        small(ascii_database)
        ascii_database.execute(r"UPDATE user_data SET city = E'Malm\xf6' WHERE user_id = 3")
        with pytest.raises(
            SchemaError, match=r"'user_data' or .* not UTF-8.*SQL_ASCII.*view"
        ) as caught:
            extraction(ascii_database.url, tmp_path).run()
        assert "Malm" not in str(caught.value)
    finally:
        database.alone("DROP DATABASE ascii WITH (FORCE)")


# Numbers beyond the range of a float


@pytest.mark.parametrize("kind", ["numeric", "float8"])
@pytest.mark.parametrize("value", ["NaN", "1e200"])
def test_a_target_that_is_no_whole_number_is_named_by_every_run(
    database: TestDatabase, tmp_path: Path, kind: str, value: str
) -> None:
    small(database)
    extraction(database.url, tmp_path).run()  # the next one compares checksums with this log
    database.execute(
        f"ALTER TABLE feed_data ALTER target TYPE {kind}",
        f"UPDATE feed_data SET target = '{value}' WHERE action = 'view' AND user_id = 1",
    )
    with pytest.raises(SchemaError, match=r"column 'target' of 'feed_data' must hold 0 and 1"):
        extraction(database.url, tmp_path).run()


def test_a_profile_number_too_large_for_a_float_is_infinite(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        "ALTER TABLE user_data ADD income numeric",
        "UPDATE user_data SET income = CASE user_id WHEN 1 THEN 1e400 WHEN 3 THEN -1e400 END",
    )
    extraction(database.url, tmp_path).run()
    found = Log.open(tmp_path / "log").users.set_index("user_id")["income"]
    assert found[1] == float("inf")
    assert found[3] == float("-inf")
    assert found.isna()[7]
