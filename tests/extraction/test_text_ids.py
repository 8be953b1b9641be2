"""Ids of text, uuid and numeric: kept as they are, and whole numbers within."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.postgres.connection import Source
from feedrank.learning.profile_coding import code_profiles
from feedrank.log.files import Log
from feedrank.schema import USER_ID
from feedrank.state.catalogue import id_array, plain_ids
from tests.conftest import TestDatabase
from tests.support.postgres_tables import (
    DEFAULTS,
    VIEWS,
    counting,
    extraction,
    files,
    impressions,
    large,
)

TABLES = (("user_data", "user_id"), ("post_text_df", "post_id"))
UUID = ("uuid", "lpad({}::text, 32, '0')::uuid")
TEXT = ("text", "'é' || lpad({}::text, 9, '0')")


def retype(database: TestDatabase, kind: str, value: str) -> None:
    for table, column in (*TABLES, *(("feed_data", column) for _, column in TABLES)):
        using = value.format(column)
        database.execute(f"ALTER TABLE {table} ALTER {column} TYPE {kind} USING {using}")


@pytest.mark.parametrize(("kind", "value"), [UUID, TEXT])
def test_a_log_of_text_ids_has_the_impressions_of_whole_numbers(
    database: TestDatabase, tmp_path: Path, kind: str, value: str
) -> None:
    large(database)
    extraction(database.url, tmp_path / "whole").run()
    retype(database, kind, value)
    extraction(database.url, tmp_path / "text").run()
    whole, text = files(tmp_path / "whole"), files(tmp_path / "text")
    assert {n for n in whole if whole[n] != text[n]} == {"log/users.parquet", "log/posts.parquet"}
    log = Log.open(tmp_path / "text" / "log")
    expected = database.execute("SELECT user_id::text FROM user_data ORDER BY 1")
    assert log.users[USER_ID].tolist() == [text for (text,) in expected]
    assert plain_ids(id_array(log.users[USER_ID].to_numpy())) == log.users[USER_ID].tolist()
    assert [column.name for column in code_profiles(log.users, 4).columns] == ["age"]


def test_any_type_of_ids_is_read_as_text(database: TestDatabase, tmp_path: Path) -> None:
    large(database)
    for kind in ("numeric", "varchar(20)", "char(12)"):
        retype(database, kind, f"{{}}::{kind}")
        extraction(database.url, tmp_path).run()
        expected = [(at, f"{u}", f"{p}", y) for at, u, p, y in database.execute(VIEWS)]
        read = [(at, u.strip(), p.strip(), y) for at, u, p, y in impressions(tmp_path)]
        assert sorted(read) == sorted((at, u.strip(), p.strip(), y) for at, u, p, y in expected)


def test_impressions_of_text_ids_are_not_read_twice(database: TestDatabase, tmp_path: Path) -> None:
    large(database)
    retype(database, *UUID)
    extraction(database.url, tmp_path).run()
    before = files(tmp_path)
    assert counting(lambda: extraction(database.url, tmp_path).run()) == 0
    assert files(tmp_path) == before


def test_a_share_of_text_ids_and_unknown_ones_are_as_of_whole_numbers(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    retype(database, *TEXT)
    database.execute("INSERT INTO feed_data VALUES ('2021-10-04', 'nobody', NULL, 'view', 1)")
    extraction(database.url, tmp_path, user_share=0.5).run()
    chosen = Log.open(tmp_path / "log").users[USER_ID].tolist()
    assert 5 < len(chosen) < 45
    expected = [row for row in database.execute(VIEWS) if row[1] in chosen]
    assert impressions(tmp_path) == sorted(expected)


def test_a_look_at_text_ids_finds_no_problem(database: TestDatabase) -> None:
    large(database)
    whole = [f.words for f in check_source(Source(database.url, DEFAULTS.source), DEFAULTS)]
    retype(database, *UUID)
    found = check_source(Source(database.url, DEFAULTS.source), DEFAULTS)
    assert np.array_equal([f.words for f in found], whole)


def test_an_id_of_any_length_is_refused_before_it_widens_all(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    retype(database, *TEXT)
    database.execute("INSERT INTO post_text_df VALUES (repeat('é', 128))")
    with pytest.raises(SchemaError, match="'post_id' of 'post_text_df' holds an id of 256 bytes"):
        extraction(database.url, tmp_path).run()
