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


def test_a_network_that_shows_every_post_often_is_not_told(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    large(database)
    database.execute(
        "TRUNCATE feed_data",
        """INSERT INTO feed_data SELECT timestamp '2021-10-01' + make_interval(secs => g * 37),
             2 * (1 + g % 20), 1 + g / 20 % 40, 'view', 0 FROM generate_series(0, 19999) g""",
    )
    extraction(database.url, tmp_path).run()
    assert WORDS not in logged.text
