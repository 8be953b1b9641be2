from __future__ import annotations

from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from tests.conftest import TestDatabase
from tests.support.postgres_tables import extraction, small, source_params


@pytest.mark.parametrize("column", ["file", "number", "line"])
def test_lines_without_a_file_number_or_text_are_counted_and_refused(
    database: TestDatabase, tmp_path: Path, column: str
) -> None:
    small(database)
    database.execute(
        "CREATE TABLE lists (file text, number int, line text)",
        "INSERT INTO lists SELECT 'f', g, '{}' FROM generate_series(1, 3) g",
        f"UPDATE lists SET {column} = NULL WHERE number > 1",
    )
    words = r"'file', 'number' or 'line' is NULL in 2 rows of table \"public\".\"lists\". Remove"
    with pytest.raises(SchemaError, match=words):
        extraction(database.url, tmp_path, source_params(exposures="table:lists")).run()
