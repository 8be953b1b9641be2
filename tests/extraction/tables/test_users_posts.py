from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.postgres.connection import Source
from feedrank.log.files import Log
from tests.conftest import TestDatabase
from tests.support.postgres_tables import DEFAULTS, extraction, large, small, source_params


def _log(database: TestDatabase, directory: Path, **names: object) -> Log:
    extraction(database.url, directory, source_params(**names)).run()
    return Log.open(directory / "log")


def test_text_and_topic_may_be_one_column(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    posts = _log(database, tmp_path, text="topic").posts
    assert posts["text"].tolist() == ["covid", "tech", ""]
    assert posts["topic"].tolist() == ["covid", "tech", "unknown"]


def test_hidden_and_embedding_may_be_a_text_s_column(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        "ALTER TABLE post_text_df ADD vector text DEFAULT '[1,2]', ADD gone bool DEFAULT false"
    )
    names = {"text": "vector", "embedding": "vector", "topic": "gone", "hidden": "gone"}
    posts = _log(database, tmp_path, **names).posts
    assert posts["text"].tolist() == ["[1,2]"] * 3
    assert posts["topic"].tolist() == ["0"] * 3
    assert posts["embedding"].map(list).tolist() == [[1, 2]] * 3


@pytest.mark.parametrize("megabytes", [1, 3])
def test_a_value_may_be_longer_than_a_megabyte(
    database: TestDatabase, tmp_path: Path, megabytes: int
) -> None:
    small(database)
    length = megabytes << 20
    database.execute(
        f"UPDATE post_text_df SET text = repeat('a', {length})",
        f"UPDATE user_data SET city = repeat('b', {length}) WHERE user_id = 3",
    )
    log = _log(database, tmp_path)
    assert log.posts["text"].map(len).tolist() == [length] * 3
    assert log.users["city"].str.len().tolist()[1:] == [length, 0]


def test_errors_about_ids_name_the_real_table_and_column(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(
        "ALTER TABLE user_data RENAME TO people",
        "ALTER TABLE people RENAME user_id TO uid",
        "ALTER TABLE feed_data RENAME user_id TO uid",
        "INSERT INTO people VALUES (3)",
        "ALTER TABLE post_text_df RENAME post_id TO id",
    )
    names = {"users": "people", "user_id": "uid"}
    with pytest.raises(SchemaError, match="'uid' of 'people' must be unique"):
        _log(database, tmp_path, **names)
    database.execute("DELETE FROM people WHERE age IS NULL", "UPDATE post_text_df SET id = 10")
    with pytest.raises(SchemaError, match="'id' of 'post_text_df' must be unique"):
        _log(database, tmp_path, **names)


def test_a_profile_column_may_have_any_name_beside_text_ids(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(
        "ALTER TABLE user_data ALTER user_id TYPE text, ADD _key int DEFAULT 5",
        "ALTER TABLE feed_data ALTER user_id TYPE text",
    )
    users = _log(database, tmp_path).users
    assert list(users) == ["user_id", "age", "_key", "user_id_key"]
    assert users["_key"].tolist() == [5] * 50


NUMBERS = """ALTER TABLE user_data ADD contact bigint, ADD visa numeric, ADD wealth bigint,
    ADD debt numeric, ADD steps int;
  INSERT INTO user_data (user_id) SELECT g FROM generate_series(1001, 1100) g;
  UPDATE user_data SET contact = 79000000000 + user_id * 7, visa = 4e15 + user_id,
    wealth = user_id % 20 * 10000000000, debt = 1e10 + user_id + 0.5, steps = user_id * 7"""


def test_long_whole_numbers_that_tell_users_apart_are_left_out(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(NUMBERS)
    users = _log(database, tmp_path).users
    assert list(users) == ["user_id", "age", "wealth", "debt", "steps"]
    found = check_source(Source(database.url, DEFAULTS.source), DEFAULTS)
    words = [f.words for f in found if "columns left out" in f.words]
    assert words == [
        "columns left out: 'contact' (nearly unique), 'visa' (nearly unique). "
        "'source.profile' chooses."
    ]


DOMAINS = (
    "CREATE DOMAIN whole AS int",
    "CREATE DOMAIN id AS whole CHECK (value > 0)",
    "CREATE DOMAIN stars AS id",
    "ALTER TABLE user_data ALTER user_id TYPE id, ALTER age TYPE stars",
    "ALTER TABLE feed_data ALTER user_id TYPE stars",
)


def test_a_domain_over_domains_is_what_the_first_one_is(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute(*DOMAINS)
    assert _log(database, tmp_path).users["age"].dtype == float
    params = replace(DEFAULTS, source=source_params(feed="SELECT * FROM feed_data"))
    found = check_source(Source(database.url, params.source), params)
    assert not [f.words for f in found if f.level == "problem"]
