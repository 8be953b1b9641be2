from __future__ import annotations

from pathlib import Path

import pytest

from feedrank.extraction.audit.day_counts import Disproved
from feedrank.extraction.postgres.connection import Transaction
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.spool.chunks import Spool
from tests.conftest import TestDatabase
from tests.support.postgres_tables import before, extraction, files, large, once


@pytest.mark.parametrize("at", ["first_table", "first_chunk"])
def test_rows_that_arrive_meanwhile_are_out_as_a_whole(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    large(database)
    extraction(database.url, tmp_path / "one").run()
    arrive = once(
        lambda: database.execute(
            "INSERT INTO user_data VALUES (1000, 1)",
            "INSERT INTO feed_data SELECT timestamp, 1000, post_id, action, target FROM feed_data",
            "DELETE FROM feed_data WHERE user_id = 2",
        )
    )
    owner, name = {"first_table": (Transaction, "copy"), "first_chunk": (Spool, "add")}[at]
    before(monkeypatch, owner, name, arrive)
    extraction(database.url, tmp_path / "other").run()
    assert arrive.done  # type: ignore[attr-defined]
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_a_lost_row_stops_the_run_and_names_the_day(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    whole = FeedSql.chunk
    monkeypatch.setattr(
        FeedSql,
        "chunk",
        lambda *args: whole(*args) + " AND NOT (user_id = 8 AND timestamp::date = '2021-10-05')",
    )
    with pytest.raises(Disproved, match=r"database counts on 2021-10-05: .* against"):
        extraction(database.url, tmp_path).run()
    assert not (tmp_path / "log").exists()
