"""Likes that come as rows: from the feed, from a table of events, and from queries."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from feedrank.errors import ParamsError, SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.postgres.connection import Source
from feedrank.params import SourceParams, parse_params
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    DEFAULTS,
    counting,
    extraction,
    files,
    impressions,
    large,
    source_params,
)

WINDOW = "3d"
# The rule in SQL: the last view of a like's user and post, if it is less than the window ago.
RULE = """
    WITH rows AS (SELECT date_trunc('second', timestamp) AS at, user_id, post_id, action
      FROM feed_data),
    shown AS (SELECT DISTINCT at, user_id, post_id FROM rows WHERE action = 'view'),
    liked AS (SELECT l.user_id, l.post_id, max(s.at) AS at FROM rows l JOIN shown s
      ON s.user_id = l.user_id AND s.post_id = l.post_id AND s.at <= l.at
      WHERE l.action = 'like' GROUP BY l.user_id, l.post_id, l.at
      HAVING max(l.at) < max(s.at) + interval '3 days')
    SELECT s.at::text, s.user_id, s.post_id, (EXISTS (SELECT FROM liked WHERE
      (liked.user_id, liked.post_id, liked.at) = (s.user_id, s.post_id, s.at)))::int
    FROM shown s ORDER BY 1, 2, 3
"""
SPLIT = (
    "CREATE TABLE shown AS SELECT user_id, post_id, timestamp AT TIME ZONE 'UTC' AS timestamp "
    "FROM feed_data WHERE action = 'view'",
    "CREATE TABLE events AS SELECT user_id, post_id, timestamp, action FROM feed_data "
    "WHERE action = 'like' UNION ALL "
    "SELECT user_id, post_id, timestamp, 'report' FROM feed_data WHERE user_id < 40",
    "CREATE TABLE clicks AS SELECT user_id AS who, post_id AS what, timestamp AS clicked_at "
    "FROM feed_data WHERE action = 'like'",
)
SOURCES = {
    "rows of the feed": {},
    "two tables": {"feed": "shown", "events": "events"},
    "two queries": {
        "users": "WITH u AS (SELECT user_id, age FROM user_data) SELECT * FROM u; ",
        "feed": "select user_id, post_id, timestamp from shown -- all of them",
        "events": "SELECT who AS user_id, what AS post_id, clicked_at AS timestamp FROM clicks",
    },
}


def _source(name: str = "rows of the feed", **changes: object) -> SourceParams:
    return source_params(**{"like_window": WINDOW, **SOURCES[name], **changes})


def _network(database: TestDatabase) -> None:
    large(database)
    # No label that the extract could read by mistake.
    database.execute("ALTER TABLE feed_data DROP target", *SPLIT)


@pytest.mark.parametrize("name", SOURCES)
def test_each_form_of_a_source_gives_the_labels_of_the_rule(
    database: TestDatabase, tmp_path: Path, name: str
) -> None:
    _network(database)
    source = _source(name)
    findings = check_source(Source(database.url, source), replace(DEFAULTS, source=source))
    assert not [f.words for f in findings if f.level == "problem"]
    meta = extraction(database.url, tmp_path, source).run()
    expected = database.execute(RULE)
    assert impressions(tmp_path) == expected
    assert 100 < meta.n_likes < meta.n_impressions / 2
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    assert report["source_rows"] == {"view": 17_778, "like": 2_222}
    assert report["impressions"] + report["repeated_rows"] == 17_778
    assert 0 < report["like_rows_without_a_liked_view"] <= 2_222 - meta.n_likes


@pytest.mark.parametrize(
    ("change", "most"),
    [
        ("INSERT INTO feed_data SELECT timestamp + interval '1 day', user_id, post_id, 'like' "
         "FROM feed_data WHERE action = 'view' AND timestamp::date = '2021-10-09' LIMIT 50", 2_100),
        ("INSERT INTO feed_data SELECT timestamp + interval '2 days', user_id, post_id, 'like' "
         "FROM feed_data WHERE action = 'view' AND timestamp::date = '2021-10-10' LIMIT 50", 50),
        ("DELETE FROM feed_data WHERE action = 'like' AND timestamp > '2021-10-10'", 2_000),
        ("DELETE FROM post_text_df WHERE post_id = 5", 0),
        ("SELECT 1", 0),
    ],
)  # fmt: skip
def test_a_late_like_corrects_its_impression_and_only_its_day_is_read(
    database: TestDatabase, tmp_path: Path, change: str, most: int
) -> None:
    _network(database)
    grown, full = (
        extraction(database.url, tmp_path / name, _source(), max_orphan_share=0.1)
        for name in ("grown", "full")
    )
    grown.run()
    database.execute(change)
    read = counting(grown.run)
    assert (read > 0) == (most > 0)
    assert read <= most
    full.run()
    assert files(tmp_path / "grown") == files(tmp_path / "full")


def test_another_window_reads_nothing_again(database: TestDatabase, tmp_path: Path) -> None:
    _network(database)
    extraction(database.url, tmp_path / "grown", _source()).run()
    longer = extraction(database.url, tmp_path / "grown", _source(like_window="9d"))
    assert counting(longer.run) == 0
    extraction(database.url, tmp_path / "full", _source(like_window="9d")).run()
    assert files(tmp_path / "grown") == files(tmp_path / "full")


def test_likes_that_are_left_out_are_counted_apart_from_impressions(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    _network(database)
    database.execute(
        """INSERT INTO feed_data SELECT '2021-10-04', 999, g, 'like' FROM generate_series(1, 900) g;
           INSERT INTO feed_data VALUES ('2021-10-04', 2, 999, 'like'), (NULL, 2, 3, 'like'),
             ('2021-10-04', 2, 999, 'view'), (NULL, 2, 3, 'view'), ('2021-10-04', NULL, 3, 'view'),
             ('1970-01-01', 2, 3, 'like'), ('1970-01-01', 2, 3, 'view')"""
    )
    share = 4.5 / 17_782
    extraction(database.url, tmp_path, _source(), max_orphan_share=share).run()
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    assert report["dropped"] == {
        "unknown_user": 1, "unknown_post": 1, "without_time": 1, "impossible_time": 1,
    }  # fmt: skip
    assert report["dropped_likes"] == 903
    assert "1 impressions and 1 likes have impossible times" in logged.text
    assert "4 left out, 903 likes too" in logged.text
    with pytest.raises(SchemaError, match="4 of 17782 impressions cannot be used: 1 are of"):
        extraction(database.url, tmp_path, _source(), max_orphan_share=3.5 / 17_782).run()


def test_actions_that_are_not_positive_are_no_likes(database: TestDatabase, tmp_path: Path) -> None:
    _network(database)
    source = _source("two tables", positive=["share"])
    findings = check_source(Source(database.url, source), replace(DEFAULTS, source=source))
    assert any("no row is one of ['share']" in f.words for f in findings)
    assert extraction(database.url, tmp_path, source).run().n_likes == 0


def test_events_whose_ids_are_of_another_kind_are_named(
    database: TestDatabase, tmp_path: Path
) -> None:
    _network(database)
    database.execute("ALTER TABLE events ALTER post_id TYPE text")
    source = _source("two tables")
    words = "'post_id' is int4 in 'shown' and 'post_id' is text in 'events'. Cast one in a view"
    with pytest.raises(SchemaError, match=words):
        extraction(database.url, tmp_path, source).run()
    found = check_source(Source(database.url, source), replace(DEFAULTS, source=source))
    assert any(words in f.words for f in found if f.level == "problem")


def test_events_without_a_window_are_refused() -> None:
    groups = {"source": {"events": "clicks", "like_window": None}}
    with pytest.raises(ParamsError, match="'events' needs 'like_window'"):
        parse_params(_with(groups))


def _with(changes: dict[str, dict[str, object]]) -> dict[str, object]:
    groups = asdict(DEFAULTS)
    for group, values in changes.items():
        groups[group] |= values
    return groups
