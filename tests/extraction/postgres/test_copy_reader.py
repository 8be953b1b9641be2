from __future__ import annotations

from pathlib import Path

import pytest

from feedrank.extraction.postgres.copy_reader import block_ranges
from feedrank.extraction.spool.chunks import Spool
from tests.conftest import TestDatabase
from tests.support.postgres_tables import before, extraction, large


def test_ranges_cover_every_block_once() -> None:
    for blocks, rows_a_block, chunk_rows in [(0, 1, 10), (1, 5, 1000), (7, 100, 100), (100, 3, 1)]:
        covered = [
            block
            for r in block_ranges(blocks, rows_a_block, chunk_rows)
            for block in range(r.first, r.last)
        ]
        assert covered == list(range(blocks))


@pytest.mark.parametrize("window", [{}, {"since": "2021-10-09"}])
def test_a_chunk_holds_few_rows_more_than_asked_for_of_any_window(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: dict[str, str]
) -> None:
    large(database)
    database.execute(
        "CREATE TABLE other AS SELECT * FROM feed_data ORDER BY timestamp",
        "DROP TABLE feed_data",
        "ALTER TABLE other RENAME TO feed_data",
    )
    rows: list[int] = []
    before(monkeypatch, Spool, "add", lambda _, name, chunk: rows.append(len(chunk.packed)))
    extraction(database.url, tmp_path, chunk_rows=1000, **window).run()
    assert 700 < max(rows) <= 1000
