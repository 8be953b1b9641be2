from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    AS_INHERITED,
    AS_MATERIALIZED,
    AS_PARTITIONED,
    AS_VIEW,
    VIEWS,
    extraction,
    files,
    impressions,
    large,
    small,
    source_params,
)


def test_dead_rows_and_empty_blocks_are_not_seen(database: TestDatabase, tmp_path: Path) -> None:
    large(database)
    database.execute(
        "INSERT INTO feed_data SELECT * FROM feed_data",
        "DELETE FROM feed_data WHERE ctid < '(140,0)'::tid OR user_id = 40",
    )
    database.alone("VACUUM feed_data")
    database.execute("UPDATE feed_data SET target = target WHERE user_id < 10")
    extraction(database.url, tmp_path, chunk_rows=1000).run()
    assert impressions(tmp_path) == sorted(set(database.execute(VIEWS)))


def test_an_unlogged_table_is_read_by_blocks(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    large(database)
    extraction(database.url, tmp_path / "one").run()
    database.execute("ALTER TABLE feed_data SET UNLOGGED")
    extraction(database.url, tmp_path / "other").run()
    assert files(tmp_path / "one") == files(tmp_path / "other")
    assert "one stream" not in logged.text


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        (AS_VIEW, "a view"),
        (AS_MATERIALIZED, "a materialized view"),
        (AS_PARTITIONED, "partitioned"),
        (AS_INHERITED, "a table with children"),
    ],
)
def test_what_has_no_blocks_of_its_own_is_read_as_one_stream(
    database: TestDatabase,
    tmp_path: Path,
    statements: str,
    kind: str,
    logged: pytest.LogCaptureFixture,
) -> None:
    large(database)
    extraction(database.url, tmp_path / "one").run()
    assert "one stream" not in logged.text
    database.execute(statements)
    extraction(database.url, tmp_path / "other").run()
    assert files(tmp_path / "one") == files(tmp_path / "other")
    assert f"'feed_data' is {kind}: reading it as one stream" in logged.text


def test_names_that_need_quotes_are_names(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute(
        'CREATE SCHEMA "Our ""net"""',
        'ALTER TABLE user_data SET SCHEMA "Our ""net"""',
        'ALTER TABLE post_text_df SET SCHEMA "Our ""net"""',
        'ALTER TABLE feed_data SET SCHEMA "Our ""net"""',
        'ALTER TABLE "Our ""net""".feed_data RENAME TO "select; --%s"',
        'ALTER TABLE "Our ""net"""."select; --%s" RENAME timestamp TO "at; DROP"',
        'ALTER TABLE "Our ""net"""."select; --%s" RENAME user_id TO "Кто"',
        'ALTER TABLE "Our ""net"""."select; --%s" RENAME action TO "what\'s"',
    )
    names = source_params(
        schema='Our "net"', feed="select; --%s", timestamp="at; DROP", action="what's"
    )
    with pytest.raises(SchemaError, match="'select; --%s' has no column 'user_id'"):
        extraction(database.url, tmp_path, names).run()
    database.execute('ALTER TABLE "Our ""net""".user_data RENAME user_id TO id')
    extraction(database.url, tmp_path, replace(names, user_id="Кто")).run()
    assert len(impressions(tmp_path)) == 4
