"""A small network in a database, its rows written by hand or by plain SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.extraction.extract import Extract
from feedrank.extraction.fingerprint import refresh_fingerprint
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.postgres.row_format import Layout, WireRows
from feedrank.log.files import Log
from feedrank.params import ExtractParams, SourceParams, load_params
from tests.conftest import ROOT, TestDatabase

DEFAULTS = load_params(ROOT / "params.yaml")

SMALL = """
CREATE TABLE user_data (user_id int, gender int, age int, city text);
CREATE TABLE post_text_df (post_id int, text text, topic text);
CREATE TABLE feed_data (timestamp timestamp, user_id int, post_id int, action text, target int);
INSERT INTO user_data VALUES (3, 1, 30, 'Kazan'), (1, 0, NULL, NULL), (7, 1, 55, '');
INSERT INTO post_text_df VALUES (20, 'b', 'tech'), (10, NULL, 'covid'), (30, 'c', NULL);
INSERT INTO feed_data VALUES
  ('2021-10-02 08:00:00', 7, 10, 'view', 1),
  ('2021-10-02 08:00:09', 7, 10, 'like', 0),
  ('2021-10-02 08:00:11', 7, 30, 'view', 0),
  ('2021-10-03 23:59:59.9', 1, 20, 'view', 0),
  ('2021-10-01 06:00:00', 3, 20, 'view', 1),
  ('2021-10-01 06:00:30', 3, 20, 'like', NULL);
"""
# Users lie one after the other, as in the reference installation, but for a few late rows.
LARGE = """
CREATE TABLE user_data (user_id int, age int);
CREATE TABLE post_text_df (post_id int, text text, topic text);
CREATE TABLE feed_data (timestamp timestamp, user_id int, post_id int, action text, target int);
INSERT INTO user_data SELECT 2 * g, g % 70 FROM generate_series(1, 50) g;
INSERT INTO post_text_df SELECT g, 'text ' || g, 'topic' FROM generate_series(1, 40) g;
INSERT INTO feed_data SELECT
    timestamp '2021-10-01' + make_interval(days => g % 10, secs => g * 7919 % 86400),
    2 * (1 + g / 400), 1 + g * 7919 % 40,
    CASE WHEN g % 9 = 8 THEN 'like' ELSE 'view' END, CASE WHEN g % 9 = 7 THEN 1 ELSE 0 END
  FROM generate_series(0, 19999) g;
"""

AS_VIEW = """ALTER TABLE feed_data RENAME TO rows;
    CREATE VIEW feed_data AS SELECT * FROM rows"""
AS_MATERIALIZED = AS_VIEW.replace("VIEW", "MATERIALIZED VIEW")
AS_PARTITIONED = """ALTER TABLE feed_data RENAME TO rows;
    CREATE TABLE feed_data (LIKE rows) PARTITION BY RANGE (timestamp);
    CREATE TABLE first_days PARTITION OF feed_data FOR VALUES FROM (MINVALUE) TO ('2021-10-04');
    CREATE TABLE last_days PARTITION OF feed_data DEFAULT;
    INSERT INTO feed_data SELECT * FROM rows"""
AS_INHERITED = """CREATE TABLE other_rows () INHERITS (feed_data);
    WITH moved AS (DELETE FROM ONLY feed_data WHERE user_id > 50 RETURNING *)
    INSERT INTO other_rows SELECT * FROM moved"""


def small(database: TestDatabase) -> None:
    """Three users, three posts, four impressions."""
    database.execute(SMALL)


def large(database: TestDatabase) -> None:
    """50 users, 40 posts, 10 days, 20,000 rows in about 130 blocks."""
    database.execute(LARGE)


def extract_params(**changes: object) -> ExtractParams:
    """The defaults, in small chunks, with some changes."""
    defaults = replace(DEFAULTS.extract, buckets=3, chunk_rows=3000)
    return replace(defaults, **changes)  # type: ignore[arg-type]


def source_params(**changes: object) -> SourceParams:
    """The defaults with some changes."""
    return replace(DEFAULTS.source, **changes)  # type: ignore[arg-type]


def extraction(
    url: str, directory: Path, names: SourceParams | None = None, **changes: object
) -> Extract:
    """An extract of a database into a directory."""
    return Extract(
        source=Source(url, names or DEFAULTS.source),
        params=extract_params(**changes),
        log=directory / "log",
        reports=directory / "reports",
        spool=directory / ".spool",
        name="database",
    )


def fingerprint_of(
    database: TestDatabase, directory: Path, names: SourceParams | None = None
) -> bytes:
    """The fingerprint of a database, made again if a directory keeps none of the same tables."""
    path = directory / "data" / "source.json"
    source = Source(database.url, names or DEFAULTS.source)
    refresh_fingerprint(path, directory / ".spool" / "signature.json", source, "database", 2)
    return path.read_bytes()


def settled(database: TestDatabase) -> None:
    """Wait for the counts of writers that have left: a server publishes them as they leave."""
    gone = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid != pg_backend_pid()
          AND backend_type = 'client backend'"""
    while database.execute(gone) != [(0,)]:
        pass


def files(directory: Path) -> dict[str, bytes]:
    """Every file of an extract's outputs with its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for top in ("log", "reports")
        for path in sorted((directory / top).rglob("*"))
    }


def impressions(directory: Path) -> list[tuple[str, int, int, int]]:
    """(moment, user_id, post_id, liked) of a log, in order."""
    log = Log.open(directory / "log")
    rows = []
    for bucket in log.buckets():
        table = pd.DataFrame(
            {
                "at": [log.meta.moment(at).isoformat(" ") for at in bucket.at.tolist()],
                "user": log.users["user_id"].to_numpy()[bucket.user],
                "post": log.posts["post_id"].to_numpy()[bucket.post],
                "liked": bucket.liked,
            }
        )
        rows += list(table.itertuples(index=False, name=None))
    return sorted(rows)


VIEWS = """
    SELECT date_trunc('second', timestamp)::text, user_id, post_id, target FROM feed_data
    WHERE action = 'view' ORDER BY 1, 2, 3, 4
"""


def once(action: Callable[[], object]) -> Callable[..., None]:
    def run(*_: object) -> None:
        if not run.done:  # type: ignore[attr-defined]
            run.done = True  # type: ignore[attr-defined]
            action()

    run.done = False  # type: ignore[attr-defined]
    return run


def before(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, action: Callable[..., None]
) -> None:
    whole = getattr(owner, name)

    def patched(self: object, *args: object) -> object:
        action(self, *args)
        return whole(self, *args)

    monkeypatch.setattr(owner, name, patched)


def counting(run: Callable[[], object]) -> int:
    """Impressions that cross the wire while something runs."""
    read = 0
    whole = Layout.parse

    def counted(self: Layout, rows: np.ndarray) -> WireRows:
        nonlocal read
        read += len(rows)
        return whole(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Layout, "parse", counted)
        run()
    return read
