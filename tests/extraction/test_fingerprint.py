from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.errors import SchemaError, SourceError
from feedrank.extraction import fingerprint
from feedrank.extraction.fingerprint import keep_fingerprint
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    AS_INHERITED,
    AS_MATERIALIZED,
    AS_PARTITIONED,
    AS_VIEW,
    fingerprint_of,
    large,
    settled,
    small,
)

CHANGES = [
    "INSERT INTO feed_data VALUES ('2021-10-05', 2, 2, 'view', 0)",
    "INSERT INTO feed_data VALUES ('2021-10-05', 2, 2, 'like', 0)",
    "DELETE FROM feed_data WHERE user_id = 2",
    "UPDATE feed_data SET target = 1 WHERE user_id = 2",
    "UPDATE feed_data SET post_id = 1 WHERE user_id = 2",
    "UPDATE feed_data SET timestamp = timestamp + interval '1 second' WHERE user_id = 2",
    "UPDATE user_data SET age = 18 WHERE user_id = 2",
    "ALTER TABLE user_data ADD city text",
    "UPDATE post_text_df SET text = 'other' WHERE post_id = 2",
    "TRUNCATE feed_data",
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_content_changes_the_fingerprint(
    database: TestDatabase, tmp_path: Path, change: str
) -> None:
    large(database)
    settled(database)
    before = fingerprint_of(database, tmp_path)
    database.execute(change)
    settled(database)
    assert fingerprint_of(database, tmp_path) != before


@pytest.mark.parametrize(
    "rewrite",
    [
        "UPDATE feed_data SET target = target",
        "CREATE TABLE copy AS SELECT * FROM feed_data ORDER BY random(); DROP TABLE feed_data;"
        "ALTER TABLE copy RENAME TO feed_data",
        "ALTER TABLE feed_data SET UNLOGGED",
        AS_VIEW,
    ],
)
def test_the_same_rows_kept_otherwise_are_the_same(
    database: TestDatabase, tmp_path: Path, rewrite: str
) -> None:
    large(database)
    before = fingerprint_of(database, tmp_path / "here")
    assert fingerprint_of(database, tmp_path / "elsewhere") == before
    database.execute(rewrite)
    settled(database)
    assert fingerprint_of(database, tmp_path / "here") == before


def test_tables_that_nobody_wrote_to_are_not_read_again(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    settled(database)
    before = fingerprint_of(database, tmp_path)
    monkeypatch.setattr(fingerprint, "_content", None)
    assert fingerprint_of(database, tmp_path) == before
    (tmp_path / "data" / "source.json").write_text("of something else")
    with pytest.raises(TypeError):
        fingerprint_of(database, tmp_path)


def test_a_view_is_read_every_time(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    database.execute(AS_VIEW)
    settled(database)
    fingerprint_of(database, tmp_path)
    monkeypatch.setattr(fingerprint, "_content", None)
    with pytest.raises(TypeError):
        fingerprint_of(database, tmp_path)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (AS_INHERITED, "INSERT INTO other_rows VALUES ('2021-10-05', 2, 2, 'view', 0)"),
        (AS_INHERITED, "DELETE FROM other_rows WHERE user_id = 60"),
        (AS_PARTITIONED, "INSERT INTO last_days VALUES ('2021-10-05', 2, 2, 'view', 0)"),
        (AS_VIEW, "INSERT INTO rows VALUES ('2021-10-05', 2, 2, 'view', 0)"),
        (AS_MATERIALIZED, "INSERT INTO rows VALUES ('2021-10-05', 2, 2, 'view', 0);"
         "REFRESH MATERIALIZED VIEW feed_data"),
    ],
)  # fmt: skip
def test_a_write_to_what_a_relation_is_made_of_changes_the_fingerprint(
    database: TestDatabase, tmp_path: Path, kind: str, change: str
) -> None:
    large(database)
    database.execute(kind)
    settled(database)
    before = fingerprint_of(database, tmp_path)
    database.execute(change)
    settled(database)
    assert fingerprint_of(database, tmp_path) != before


def test_what_a_role_may_see_is_part_of_the_fingerprint(
    database: TestDatabase, tmp_path: Path, role: Callable[..., str]
) -> None:
    large(database)
    database.execute(
        "CREATE TABLE open_users AS SELECT user_id FROM user_data WHERE user_id < 50",
        "ALTER TABLE feed_data ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY open ON feed_data USING (user_id IN (SELECT user_id FROM open_users))",
    )
    url = role("reader", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    settled(database)
    reader = replace(database, url=url)
    found = {fingerprint_of(database, tmp_path), fingerprint_of(reader, tmp_path)}
    database.execute("INSERT INTO open_users VALUES (60)")
    settled(database)
    found.add(fingerprint_of(reader, tmp_path))
    assert len(found) == 3


def test_a_signature_belongs_to_a_role(
    database: TestDatabase,
    tmp_path: Path,
    role: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large(database)
    url = role("reader", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    settled(database)
    fingerprint_of(database, tmp_path)
    monkeypatch.setattr(fingerprint, "_content", None)
    with pytest.raises(TypeError):
        fingerprint_of(replace(database, url=url), tmp_path)


def test_strange_rows_are_left_for_the_extract_to_refuse(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute("INSERT INTO feed_data VALUES (NULL, NULL, NULL, NULL, 7)")
    assert fingerprint_of(database, tmp_path)


def test_a_log_of_too_few_days_is_said_to_be_so_before_it_is_extracted(
    database: TestDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small(database)
    database.execute("UPDATE feed_data SET timestamp = '2021-10-01 12:00'")
    with caplog.at_level("WARNING"):
        fingerprint_of(database, tmp_path)
    assert "the log has 1 day, but 3 are the least" in caplog.text


@pytest.mark.parametrize("table", ["user_data", "post_text_df"])
def test_ids_of_two_kinds_are_named(database: TestDatabase, tmp_path: Path, table: str) -> None:
    small(database)
    found = database.execute(
        f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' "
        "AND column_name IN ('id', 'user_id', 'post_id')"
    )[0][0]
    database.execute(f"ALTER TABLE {table} ALTER {found} TYPE text USING {found}::text")
    with pytest.raises(SchemaError, match=f"'{found}' is text in '{table}' and .* is int4"):
        fingerprint_of(database, tmp_path)


def test_without_a_database_the_previous_fingerprint_stays(tmp_path: Path) -> None:
    path = tmp_path / "source.json"
    with pytest.raises(SourceError, match=r"FEED_OFFLINE is set, but .*`dvc pull`"):
        keep_fingerprint(path)
    path.write_text("as it was")
    keep_fingerprint(path)
    assert path.read_text() == "as it was"
