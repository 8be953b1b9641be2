from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.postgres.connection import Source
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    AS_VIEW,
    DEFAULTS,
    extract_params,
    extraction,
    files,
    large,
    small,
)

STRAYS = """INSERT INTO feed_data VALUES ('1970-01-01 00:00:01', 2, 1, 'view', 1),
    ('1970-01-01 00:00:02', 2, 1, 'like', 0), ('2031-05-05', 4, 3, 'view', 1)"""
BEYOND_PYTHON = """INSERT INTO feed_data VALUES ('4000-01-01 BC', 2, 1, 'view', 1),
    ('294000-01-01', 2, 1, 'view', 1)"""
LIKES_BEYOND_PYTHON = """INSERT INTO feed_data VALUES ('4000-01-01 BC', 2, 1, 'like', 1),
    ('294000-01-01', 2, 1, 'like', 1)"""


def _log_files(directory: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(directory).items() if name.startswith("log/")}


@pytest.mark.parametrize("chunk_rows", [1000, 30_000])
@pytest.mark.parametrize("strays", [STRAYS, BEYOND_PYTHON, LIKES_BEYOND_PYTHON])
@pytest.mark.parametrize("kind", ["SELECT 1", AS_VIEW])
def test_a_few_impossible_times_change_no_byte_of_the_log(
    database: TestDatabase, tmp_path: Path, kind: str, strays: str, chunk_rows: int
) -> None:
    large(database)
    extraction(database.url, tmp_path / "clean").run()
    database.execute(strays, kind)
    extraction(database.url, tmp_path / "strays", chunk_rows=chunk_rows).run()
    assert _log_files(tmp_path / "strays") == _log_files(tmp_path / "clean")


def test_a_log_that_grows_leaves_out_what_a_full_extract_does(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path / "grown").run()
    database.execute(STRAYS)
    extraction(database.url, tmp_path / "grown").run()
    extraction(database.url, tmp_path / "full").run()
    assert files(tmp_path / "grown") == files(tmp_path / "full")


def test_impossible_times_are_counted_and_named_with_the_window_that_keeps_them(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    large(database)
    database.execute(STRAYS)
    extraction(database.url, tmp_path / "one").run()
    report = json.loads((tmp_path / "one" / "reports" / "data.json").read_text())
    assert report["dropped"]["impossible_time"] == 2
    assert report["impossible_days"] == ["1970-01-01", "2031-05-05"]
    assert "2 impressions have impossible times" in logged.text
    assert "'extract.since' at or before 1970-01-01 and 'extract.until' after 2031-" in logged.text
    window = {"since": "1970-01-01", "until": "2031-05-06"}
    meta = extraction(database.url, tmp_path / "all", **window).run()
    assert (meta.origin[:10], meta.n_impressions) == ("1970-01-01", 17_780)


def test_many_rows_before_a_gap_are_a_part_of_the_feed(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(
        """INSERT INTO feed_data SELECT timestamp '2020-01-01', 2, 1 + g, 'view', 0
           FROM generate_series(0, 19) g"""
    )
    assert extraction(database.url, tmp_path).run().origin == "2020-01-01T00:00:00"


@pytest.mark.parametrize(
    ("sentinel", "window", "named"),
    [
        ("0001-01-01", {}, "0001-01-01 to 2021-10-03"),
        ("0044-03-15 BC", {}, "before year 1 to 2021-10-03"),
        ("9999-12-31", {"until": "9999-12-31T12:00:00"}, "2021-10-01 to 9999-12-31"),
    ],
)
def test_a_span_beyond_any_log_is_refused_in_words_by_extract_and_check(
    database: TestDatabase, tmp_path: Path, sentinel: str, window: dict[str, str], named: str
) -> None:
    small(database)
    database.execute(
        f"UPDATE feed_data SET timestamp = '{sentinel}' WHERE user_id = 7",
    )
    words = f"the feed spans .* days \\({named}\\), more than 49,710"
    with pytest.raises(SchemaError, match=words):
        extraction(database.url, tmp_path, **window).run()
    params = replace(DEFAULTS, extract=extract_params(**window))
    found = check_source(Source(database.url, DEFAULTS.source), params)
    assert any(re.search(words, f.words) for f in found if f.level == "problem")


@pytest.mark.parametrize("year", ["0044-03-15 BC", "0001-01-01", "9999-12-31", "20000-01-01"])
def test_years_that_no_log_has_are_refused(
    database: TestDatabase, tmp_path: Path, year: str
) -> None:
    small(database)
    database.execute(f"UPDATE feed_data SET timestamp = '{year}'")
    with pytest.raises(SchemaError, match=r"impressions are (later than|of years that)"):
        extraction(database.url, tmp_path).run()
    found = check_source(Source(database.url, DEFAULTS.source), DEFAULTS)
    assert any("impressions are" in f.words for f in found if f.level == "problem")


def test_a_later_time_than_the_server_s_is_left_out_however_near(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(
        "UPDATE feed_data SET timestamp = timestamp + (now()::date - timestamp '2021-10-10')",
        "INSERT INTO feed_data VALUES (now()::date + 3, 2, 1, 'view', 1)",
    )
    assert extraction(database.url, tmp_path).run().n_impressions == 17_778


def test_many_later_times_than_the_server_s_stop_the_run(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    later = "UPDATE feed_data SET timestamp = timestamp + interval '300 years'"
    database.execute(f"{later} WHERE user_id = 7")
    with pytest.raises(SchemaError, match=r"2 of 4 impressions .* 2 an impossible one"):
        extraction(database.url, tmp_path).run()
    database.execute(f"{later} WHERE user_id <> 7")
    with pytest.raises(SchemaError, match="all impressions are later than the server's clock"):
        extraction(database.url, tmp_path).run()
