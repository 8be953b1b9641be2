from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import TestDatabase
from tests.support.postgres_tables import extraction, large

WORDS = "'export.exclude' to seen"


@pytest.mark.parametrize("once", [True, False])
def test_a_network_that_shows_posts_once_is_told_of_export_exclude(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture, once: bool
) -> None:
    large(database)
    if once:
        database.execute(
            """DELETE FROM feed_data WHERE ctid NOT IN
                 (SELECT min(ctid) FROM feed_data GROUP BY user_id, post_id)"""
        )
    extraction(database.url, tmp_path).run()
    assert (WORDS in logged.text) == once
