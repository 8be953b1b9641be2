from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.extraction.check import sample_query
from feedrank.extraction.check.feed_sample import FeedSample
from feedrank.extraction.check.findings import Finding, check_source, in_words
from feedrank.extraction.postgres.connection import Source, Transaction
from feedrank.extraction.relations import describe_feed
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import (
    AS_VIEW,
    DEFAULTS,
    before,
    extraction,
    large,
    small,
    source_params,
)

UNCLEAN = (
    "INSERT INTO user_data VALUES (NULL, 0, 1, 'x'), (3, 0, 1, 'x')",
    "INSERT INTO post_text_df VALUES (10, 'twice', 'tech')",
    "ALTER TABLE user_data ADD email text, ADD born timestamp",
    "UPDATE user_data SET email = 'nobody@example.org'",
    """INSERT INTO feed_data VALUES
         ('2021-10-02 09:00', 7, 10, 'share', 0),
         ('2021-10-02 09:00', 7, 10, 'view', NULL),
         ('2021-10-02 09:01', 99, 10, 'view', 0), ('2021-10-02 09:02', 7, NULL, 'view', 0),
         ('2021-10-02 08:00:11', 7, 30, 'view', 0), ('2121-10-02 09:00', 7, 10, 'view', 0)""",
)
EXPECTED = {
    "problem": [
        "'user_id' of 'user_data' holds NULL in 1 rows",
        "'user_id' of 'user_data' repeats 1 ids",
        "'post_id' of 'post_text_df' repeats 1 ids",
        "'action' of 'feed_data' holds other values than 'view' and 'like' in 1 of 12",
        "'target' of 'feed_data' is neither 0 nor 1 in 1 views",
        "1 of 12 rows are of users or posts that their tables lack, 1 of none",
    ],
    "warning": [
        "the newest row (2121-10-02 09:00) is later than the server's clock",
        "1 impressions have impossible times",
    ],
    "fact": [
        "1 of 9 views repeat user, post and time",
        "columns left out: 'email' (its name says",
        "profile columns: 'gender', 'age', 'city', 'born'.",
    ],
}


def _findings(database: TestDatabase, **names: object) -> list[Finding]:
    params = replace(DEFAULTS, source=source_params(**names))
    return check_source(Source(database.url, params.source), params)


def test_every_problem_and_warning_is_found_at_once_and_no_personal_value(
    database: TestDatabase,
) -> None:
    small(database)
    database.execute(*UNCLEAN)
    findings = _findings(database)
    for level, expected in EXPECTED.items():
        found = [f.words for f in findings if f.level == level]
        for words in expected:
            assert any(words in sentence for sentence in found), (level, words, found)
    assert len([f for f in findings if f.level == "problem"]) == len(EXPECTED["problem"])
    assert "nobody@example.org" not in in_words(findings)


def test_all_missing_names_are_found_at_once(database: TestDatabase) -> None:
    small(database)
    findings = _findings(database, users="people", target="liked", timestamp="at", post_id="post")
    words = in_words([f for f in findings if f.level == "problem"])
    for name in ("'people'", "'liked'", "'at'", "'post'"):
        assert name in words


def test_a_clean_source_has_no_problem_and_its_size_is_told(database: TestDatabase) -> None:
    large(database)
    database.execute("UPDATE feed_data SET target = 0 WHERE target IS NULL")
    for change in ("SELECT 1", AS_VIEW):
        database.execute(change)
        findings = _findings(database)
        assert [f for f in findings if f.level == "problem"] == []
        words = in_words(findings)
        assert "of about 20,000 rows" in words
        assert "17,778 views in 20,000 rows looked at, 0.1250 of them liked" in words
        assert "a build takes about" in words


def test_the_first_stage_and_the_command_tell_all_of_it(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute("ALTER TABLE feed_data DROP target, DROP post_id")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FEED_DSN": database.url}
    for module in ("stages.source", "feedrank.extraction.check.findings"):
        ended = subprocess.run(
            [sys.executable, "-m", module],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        said = ended.stdout + ended.stderr
        assert ended.returncode == 1, said
        assert "no column 'target'" in said
        assert "no column 'post_id'" in said


def test_a_large_feed_is_neither_counted_nor_are_ids_sorted_that_an_index_keeps_apart(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    database.execute(
        "ALTER TABLE user_data ADD PRIMARY KEY (user_id)",
        "CREATE UNIQUE INDEX ON post_text_df (post_id) WHERE post_id > 0",
        "CREATE VIEW joined AS SELECT f.* FROM feed_data f JOIN user_data USING (user_id)",
    )
    database.alone("ANALYZE")
    monkeypatch.setattr(sample_query, "ROWS", 4000)
    asked: list[str] = []
    before(monkeypatch, Transaction, "rows", lambda _, sql: asked.append(" ".join(sql.split())))
    for feed, kind in (("feed_data", "a table"), ("joined", "a view")):
        found = [f.words for f in _findings(database, feed=feed)]
        assert f"'{feed}' is {kind} of about 20,000 rows." in found
    counts = [sql for sql in asked if sql.startswith("SELECT count(")]
    assert len([sql for sql in counts if "LIMIT 4000" in sql]) == 2
    assert not [sql for sql in counts if "LIMIT" not in sql and ("feed" in sql or "joined" in sql)]
    assert not [sql for sql in counts if 'DISTINCT "user_id"' in sql]
    assert [sql for sql in counts if 'DISTINCT "post_id"' in sql]


def test_a_large_table_that_was_never_analysed_is_not_taken_for_a_small_one(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    monkeypatch.setattr(sample_query, "ROWS", 4000)
    with Source(database.url, DEFAULTS.source).transaction() as transaction:
        feed = describe_feed(transaction, DEFAULTS.source)
        sample = FeedSample.of(transaction, feed, DEFAULTS)
    assert sample.n_rows > 10_000
    assert len(sample.days.days) == 10


@pytest.mark.parametrize("rows", [sample_query.ROWS, 4000])
def test_only_what_an_extract_would_read_is_looked_at(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    large(database)
    database.execute(
        "UPDATE feed_data SET action = 'share', user_id = 99 WHERE timestamp < '2021-10-05'",
        "CREATE VIEW ordered AS SELECT * FROM feed_data ORDER BY timestamp",
    )
    database.alone("ANALYZE")
    monkeypatch.setattr(sample_query, "ROWS", rows)
    extract = replace(DEFAULTS.extract, since="2021-10-05")
    for feed in ("feed_data", "ordered"):
        params = replace(DEFAULTS, source=source_params(feed=feed))
        found = in_words(check_source(Source(database.url, params.source), params))
        assert "holds other values than 'view' and 'like'" in found
        found = in_words(
            check_source(Source(database.url, params.source), replace(params, extract=extract))
        )
        assert found.endswith("problems: 0"), found
        (n,) = re.findall(rf"'{feed}' is a \w+, of which an extract reads about ([\d,]+)", found)
        assert 9_000 < int(n.replace(",", "")) < 15_000 or feed == "ordered", n  # 12,000 of 20,000


CHOICE = (
    "INSERT INTO user_data SELECT 2 * g, g % 70 FROM generate_series(51, 120) g",
    """ALTER TABLE user_data ADD legacy_id int, ADD handle text, ADD registered timestamptz,
         ADD last_active timestamptz""",
    """UPDATE user_data SET legacy_id = user_id * 7, handle = 'nobody ' || user_id,
         registered = '2020-01-01 00:00Z', last_active = '2022-01-01 00:00Z'""",
)


def _profile(database: TestDatabase, **names: object) -> tuple[set[str], set[str]]:
    """Columns that are called used and left out."""
    words = in_words(_findings(database, **names)).split("columns left out:")
    (used,) = [line for line in words[0].splitlines() if "profile columns:" in line]
    left_out = words[1].splitlines()[0]
    return set(re.findall(r"'(\w+)'", used)), set(re.findall(r"'(\w+)' \(", left_out))


@pytest.mark.parametrize("users", ["user_data", "everybody"])
def test_the_profile_that_is_found_is_the_profile_that_is_extracted(
    database: TestDatabase, tmp_path: Path, users: str
) -> None:
    large(database)
    database.execute(*CHOICE, "CREATE VIEW everybody AS SELECT * FROM user_data")
    used, left_out = _profile(database, users=users)
    params = replace(DEFAULTS, source=source_params(users=users))
    extraction(database.url, tmp_path, params.source).run()
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    assert left_out == set(report["left_out_columns"])
    assert {"legacy_id", "handle", "last_active"} <= left_out
    assert "registered" in used
    assert used.isdisjoint(left_out)


def test_a_column_that_the_role_may_not_read_is_left_out_and_a_needed_one_is_named(
    database: TestDatabase, role: Callable[..., str]
) -> None:
    small(database)
    reader = role(
        "narrow",
        "GRANT SELECT ON post_text_df TO narrow",
        "GRANT SELECT (user_id, city) ON user_data TO narrow",
        "GRANT SELECT (timestamp, user_id, post_id, action) ON feed_data TO narrow",
    )
    params = replace(DEFAULTS, source=source_params())
    findings = check_source(Source(reader, params.source), params)
    words = in_words(findings)
    assert "profile columns: 'city'." in words
    assert "'age' (not granted to the role of FEED_DSN)" in words
    assert [f.words for f in findings if f.level == "problem"] == [
        "the role of FEED_DSN may not read column 'target' of 'feed_data'. "
        'GRANT SELECT ("target") ON "public"."feed_data" to it.'
    ]


@pytest.mark.parametrize(
    ("kind", "words"), [("timestamp", "taken to be in"), ("timestamptz", "converted to")]
)
def test_the_zone_of_two_tables_is_told_by_the_type_of_their_columns(
    database: TestDatabase, kind: str, words: str
) -> None:
    small(database)
    database.execute(
        f"CREATE TABLE shown AS SELECT user_id, post_id, timestamp::{kind} FROM feed_data",
        f"CREATE TABLE clicks AS SELECT user_id, post_id, timestamp::{kind} FROM feed_data",
        f"INSERT INTO shown VALUES (7, 10, now()::{kind} + interval '3 hours')",
    )
    names = {"feed": "shown", "events": "clicks", "like_window": "1h"}
    found = in_words(_findings(database, **names))
    assert f"times are {words} UTC." in found
    assert ("Name the zone of the log" in found) == (kind == "timestamp")
