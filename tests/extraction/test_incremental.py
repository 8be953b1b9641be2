from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import TestDatabase
from tests.support.postgres_tables import counting, extraction, files, large

LATER = """INSERT INTO feed_data SELECT timestamp '2021-10-11' + make_interval(secs => g * 37),
    2 * (1 + g % 50), 1 + g % 40, CASE WHEN g % 9 = 8 THEN 'like' ELSE 'view' END, 0
    FROM generate_series(0, 1999) g"""


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (LATER, 1_778),
        ("INSERT INTO feed_data VALUES ('2021-10-09 12:00', 2, 1, 'view', 1)", 4_000),
        ("INSERT INTO feed_data VALUES ('2021-10-01 12:00', 2, 1, 'view', 1)", 17_779),
        ("INSERT INTO feed_data VALUES ('2021-09-20 12:00', 2, 1, 'view', 1)", 17_779),
        ("DELETE FROM feed_data WHERE user_id = 2 AND timestamp < '2021-10-03'", 17_778),
        ("UPDATE feed_data SET post_id = 1 + post_id % 40 WHERE timestamp::date = '2021-10-04'",
         12_500),
        ("UPDATE feed_data SET target = 1 - target WHERE timestamp > '2021-10-10 18:00'", 2_000),
        ("UPDATE feed_data SET timestamp = timestamp + interval '1 second' "
         "WHERE timestamp = (SELECT max(timestamp) FROM feed_data WHERE action = 'view')", 2_000),
        ("DELETE FROM feed_data WHERE timestamp > '2021-10-10 18:00'", 2_000),
        ("INSERT INTO user_data SELECT g, 1 FROM generate_series(1, 99, 2) g", 0),
        ("UPDATE user_data SET age = 20", 0),
        ("DELETE FROM post_text_df WHERE post_id = 5", 0),
        ("SELECT 1", 0),
    ],
)  # fmt: skip
def test_only_later_rows_are_read_and_the_log_is_that_of_a_full_extract(
    database: TestDatabase, tmp_path: Path, change: str, most: int
) -> None:
    large(database)
    extraction(database.url, tmp_path / "grown", max_orphan_share=0.1).run()
    database.execute(change)
    read = counting(extraction(database.url, tmp_path / "grown", max_orphan_share=0.1).run)
    extraction(database.url, tmp_path / "full", max_orphan_share=0.1).run()
    assert read <= most
    assert (read > 0) == (most > 0)
    assert files(tmp_path / "grown") == files(tmp_path / "full")


def test_what_is_not_read_again_is_told_by_its_last_day(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    large(database)
    extraction(database.url, tmp_path).run()
    last = database.execute("SELECT max(timestamp)::date::text FROM feed_data")[0][0]
    logged.clear()
    extraction(database.url, tmp_path).run()
    said = logged.text
    assert f"extract: days up to {last} are as they were and not read again." in said
    assert "extract: nothing new to read, 17,778 were there." in said


def test_rows_left_out_before_come_in_when_their_user_is_known(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(
        "DELETE FROM user_data WHERE user_id = 4",
        "UPDATE feed_data SET post_id = 99 WHERE user_id = 6 AND post_id = 3",
    )
    extraction(database.url, tmp_path / "grown", max_orphan_share=0.1).run()
    database.execute("INSERT INTO user_data VALUES (4, 5)", LATER)
    grown = extraction(database.url, tmp_path / "grown", max_orphan_share=0.1, buckets=4)
    assert counting(grown.run) <= 1_778
    extraction(database.url, tmp_path / "full", max_orphan_share=0.1, buckets=4).run()
    assert files(tmp_path / "grown") == files(tmp_path / "full")


def test_a_window_that_moves_on_reads_only_what_is_new(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path / "moved", since="2021-10-01", until="2021-10-08").run()
    window = {"since": "2021-10-03", "until": "2021-10-09"}
    read = counting(extraction(database.url, tmp_path / "moved", **window).run)
    extraction(database.url, tmp_path / "full", **window).run()
    assert 0 < read < 2000
    assert files(tmp_path / "moved") == files(tmp_path / "full")


def test_a_damaged_previous_log_is_not_trusted(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    large(database)
    extraction(database.url, tmp_path / "one").run()
    whole = files(tmp_path / "one")
    (tmp_path / "one" / "log" / "bucket-0001.parquet").write_bytes(b"nothing")
    extraction(database.url, tmp_path / "one").run()
    assert "is damaged and of no use" in logged.text
    first, second = (tmp_path / "one" / "log" / f"bucket-000{b}.parquet" for b in (0, 1))
    second.write_bytes(first.read_bytes())
    extraction(database.url, tmp_path / "one").run()
    assert "17,778 impressions in" in logged.text
    assert files(tmp_path / "one") == whole
