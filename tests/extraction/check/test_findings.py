from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.extraction.check import feed_sample
from feedrank.extraction.check.findings import Finding, check_source, in_words
from feedrank.extraction.postgres.connection import Source, Transaction
from feedrank.extraction.relations import describe_feed
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import AS_VIEW, DEFAULTS, before, large, small, source_params

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
    monkeypatch.setattr(feed_sample, "ROWS", 4000)
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
    monkeypatch.setattr(feed_sample, "ROWS", 4000)
    with Source(database.url, DEFAULTS.source).transaction() as transaction:
        feed = describe_feed(transaction, DEFAULTS.source)
        sample = feed_sample.FeedSample.of(transaction, feed, DEFAULTS)
    assert sample.n_rows > 10_000
    assert len(sample.days.days) == 10
