"""Changes that only a checksum shows, of ids that do and do not fit into 31 bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.extract import Extract
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    before,
    extraction,
    files,
    fingerprint_of,
    impressions,
    small,
)

WIDE = (
    "ALTER TABLE user_data ALTER user_id TYPE bigint",
    "ALTER TABLE feed_data ALTER user_id TYPE bigint",
    "INSERT INTO user_data VALUES (5000000000)",
)
CHANGES = {
    "labels swap": "UPDATE feed_data SET target = 1 - target "
    "WHERE action = 'view' AND timestamp::date = '2021-10-02'",
    "bits of user and post cancel": "UPDATE feed_data SET user_id = user_id # 2, "
    "post_id = post_id # 1 WHERE action = 'view' AND timestamp = '2021-10-02 08:00:11'",
    "users change above 32 bits": "UPDATE feed_data SET user_id = user_id + (1::bigint << 32) "
    "WHERE user_id = 3",
    "users change above and below 32 bits": "UPDATE feed_data "
    "SET user_id = (1::bigint << 32) + 2 WHERE user_id = 3",
}
NETWORKS = [
    (wide, change)
    for wide in (WIDE, ())
    for name, change in CHANGES.items()
    if wide or "32 bits" not in name
]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _network(database: TestDatabase, wide: tuple[str, ...]) -> None:
    small(database)
    for statement in wide:
        database.execute(statement)


def _is_read_again(database: TestDatabase, folder: Path, change: str) -> None:
    """After a change, a run in the folder `again` writes what a run from nothing does."""
    database.execute(change)
    for name in ("again", "full"):
        extraction(database.url, folder / name, max_orphan_share=0.9).run()
    assert files(folder / "again") == files(folder / "full")


@pytest.mark.parametrize(("wide", "change"), NETWORKS)
def test_a_changed_row_is_read_again(
    database: TestDatabase, tmp_path: Path, wide: tuple[str, ...], change: str
) -> None:
    _network(database, wide)
    extraction(database.url, tmp_path / "again", max_orphan_share=0.9).run()
    _is_read_again(database, tmp_path, change)


@pytest.mark.parametrize(("wide", "change"), NETWORKS)
def test_a_row_that_changed_while_a_run_was_stopped_is_read_again(
    database: TestDatabase, tmp_path: Path, wide: tuple[str, ...], change: str
) -> None:
    _network(database, wide)
    stopped = extraction(database.url, tmp_path / "again", max_orphan_share=0.9)
    with pytest.MonkeyPatch.context() as patch:
        before(patch, Extract, "_write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            stopped.run()
    _is_read_again(database, tmp_path, change)


@pytest.mark.parametrize(("wide", "change"), NETWORKS)
def test_a_changed_row_changes_the_fingerprint(
    database: TestDatabase, tmp_path: Path, wide: tuple[str, ...], change: str
) -> None:
    _network(database, wide)
    before = fingerprint_of(database, tmp_path / "before")
    database.execute(change)
    assert fingerprint_of(database, tmp_path / "after") != before


def test_impressions_of_null_are_of_no_user_whatever_the_ids(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        "INSERT INTO user_data VALUES (-1)",
        "INSERT INTO post_text_df VALUES (-1)",
        "INSERT INTO feed_data VALUES ('2021-10-02', -1, -1, 'view', 1)",
    )
    known = database.execute(
        "SELECT timestamp::text, user_id, post_id, target FROM feed_data WHERE user_id = -1"
    )
    database.execute(
        "INSERT INTO feed_data VALUES ('2021-10-02', NULL, 10, 'view', 1), "
        "('2021-10-02', 7, NULL, 'view', 1)"
    )
    extraction(database.url, tmp_path, max_orphan_share=0.9).run()
    assert [row for row in impressions(tmp_path) if -1 in row[1:3]] == known


@pytest.mark.parametrize("column", ["user_id", "post_id"])
def test_an_id_that_stands_for_none_is_refused(
    database: TestDatabase, tmp_path: Path, column: str
) -> None:
    small(database)
    table = {"user_id": "user_data", "post_id": "post_text_df"}[column]
    database.execute(
        f"ALTER TABLE {table} ALTER {column} TYPE bigint",
        f"INSERT INTO {table} ({column}) VALUES (-9223372036854775808)",
    )
    with pytest.raises(SchemaError, match=f"'{column}' of '{table}' holds -922.*Number the ids"):
        extraction(database.url, tmp_path).run()
