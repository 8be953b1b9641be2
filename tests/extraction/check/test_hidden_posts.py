from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.fingerprint import refresh_fingerprint
from feedrank.extraction.postgres.connection import Source
from feedrank.learning.fit import hidden_posts
from feedrank.log.files import Log
from feedrank.log.metadata import ALWAYS, NEVER
from tests.conftest import TestDatabase
from tests.support.postgres_tables import DEFAULTS, extraction, small, source_params


def _hidden(
    database: TestDatabase, directory: Path, column: str, *statements: str, zone: str = "UTC"
) -> dict[int, int]:
    """Seconds since the log's origin by post, of a column of the posts."""
    small(database)
    database.execute(f"ALTER TABLE post_text_df ADD {column}", *statements)
    names = source_params(hidden=column.split()[0], time_zone=zone)
    meta = extraction(database.url, directory, names).run()
    assert meta.n_impressions == 4, "impressions of hidden posts are history"
    log = Log.open(directory / "log")
    return dict(zip(log.posts["post_id"].tolist(), hidden_posts(log).tolist(), strict=True))


def test_a_boolean_hides_at_every_moment(database: TestDatabase, tmp_path: Path) -> None:
    statement = "UPDATE post_text_df SET is_hidden = post_id = 20 WHERE post_id > 10"
    found = _hidden(database, tmp_path, "is_hidden boolean", statement)
    assert found == {10: NEVER, 20: ALWAYS, 30: NEVER}


def test_a_moment_hides_from_then_on_by_the_clock_of_the_log(
    database: TestDatabase, tmp_path: Path
) -> None:
    found = _hidden(
        database,
        tmp_path,
        "deleted_at timestamptz",
        "UPDATE post_text_df SET deleted_at = '2021-10-02 00:00:07.5Z' WHERE post_id = 20",
        "UPDATE post_text_df SET deleted_at = '-infinity' WHERE post_id = 30",
        "UPDATE post_text_df SET deleted_at = 'infinity' WHERE post_id = 10",
        zone="Europe/Moscow",
    )
    seconds = (datetime(2021, 10, 2, 3, 0, 7) - datetime(2021, 10, 1)).total_seconds()
    assert found == {10: NEVER, 20: seconds, 30: ALWAYS}


def test_a_column_that_hides_every_post_or_cannot_say_is_refused(
    database: TestDatabase, tmp_path: Path
) -> None:
    with pytest.raises(SchemaError, match=r"every post .* 'is_hidden'.*'source.hidden'"):
        _hidden(database, tmp_path, "is_hidden boolean DEFAULT true")
    for name, message in (("topic", "must hold true and false, or moments"), ("gone", "'gone'")):
        source = source_params(hidden=name)
        with pytest.raises(SchemaError, match=message):
            extraction(database.url, tmp_path, source).run()
        found = check_source(Source(database.url, source), replace(DEFAULTS, source=source))
        assert any(name in f.words for f in found if f.level == "problem")


def test_a_deletion_changes_the_fingerprint(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    database.execute("ALTER TABLE post_text_df ADD deleted_at timestamp")
    source = Source(database.url, source_params(hidden="deleted_at"))
    path = tmp_path / "source.json"
    found = []
    for number, statement in enumerate(("", "UPDATE post_text_df SET deleted_at = now()")):
        database.execute(*([statement] if statement else []))
        refresh_fingerprint(path, tmp_path / f"cache{number}", source, "database", 1)
        found.append(path.read_text())
    assert found[0] != found[1]
