from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.fingerprint import refresh_fingerprint
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.profile_choice import memberships
from feedrank.learning.profile_coding import code_profiles
from feedrank.log.files import Log
from tests.conftest import TestDatabase
from tests.support.postgres_tables import DEFAULTS, extraction, impressions, large, source_params

PERSONAL = """ALTER TABLE user_data ADD email text, ADD bio text, ADD "lastIp" inet, ADD key uuid,
  ADD joined timestamptz DEFAULT now(), ADD meta jsonb, ADD id int, ADD city_id int, ADD city text;
  UPDATE user_data SET email = 'x' || user_id || '@secret.example', bio = 'secret ' || user_id,
    "lastIp" = '10.0.0.7', city = 'c' || user_id % 3, meta = '{"secret": 1}';
  INSERT INTO user_data (user_id, bio) SELECT g, 'secret ' || g FROM generate_series(1001, 1100) g;
  UPDATE user_data SET id = -user_id, city_id = user_id % 3
"""


def test_columns_that_identify_a_person_are_left_out_and_named(
    database: TestDatabase, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    large(database)
    database.execute(PERSONAL)
    extraction(database.url, tmp_path).run()
    log = Log.open(tmp_path / "log")
    assert list(log.users) == ["user_id", "age", "city_id", "city"]
    assert log.users["user_id"].tolist()[:2] == [2, 4]
    report = json.loads((tmp_path / "reports" / "data.json").read_text())["left_out_columns"]
    assert sorted(report) == ["bio", "email", "id", "joined", "key", "lastIp", "meta"]
    assert report["bio"] == "nearly unique"
    assert "'email' (its name says that it identifies a person)" in logged.text
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"secret" not in path.read_bytes(), path
    assert "secret" not in logged.text


def test_grants_on_the_columns_that_are_used_suffice(
    database: TestDatabase, tmp_path: Path, role: Callable[..., str]
) -> None:
    large(database)
    database.execute(
        PERSONAL,
        "ALTER TABLE feed_data ADD client_ip inet, ADD id bigserial",
        "CREATE TABLE clicks AS SELECT * FROM feed_data WHERE action = 'like'",
    )
    url = role(
        "narrow",
        "GRANT SELECT (user_id, age) ON user_data TO narrow",
        "GRANT SELECT (post_id, text, topic) ON post_text_df TO narrow",
        "GRANT SELECT (timestamp, user_id, post_id, action, target) ON feed_data TO narrow",
        "GRANT SELECT (timestamp, user_id, post_id, action) ON clicks TO narrow",
    )
    for place, events in (("target", {}), ("clicks", {"events": "clicks", "like_window": "1h"})):
        names = source_params(profile=["age"], **events)
        source, directory = Source(url, names), tmp_path / place
        assert not [f.words for f in check_source(source, replace(DEFAULTS, source=names))
                    if f.level == "problem"]  # fmt: skip
        refresh_fingerprint(directory / "source.json", directory / "cache", source, "database", 1)
        extraction(url, directory, names).run()
        assert list(Log.open(directory / "log").users) == ["user_id", "age"]


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            ["meta"],
            "'meta' of 'user_data' must hold numbers, booleans, enums, moments, text or arrays",
        ),
        (["hobby"], "'user_data' has no column 'hobby'"),
        (["user_id"], "'source.profile' names an id"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(
    database: TestDatabase, tmp_path: Path, profile: list[str], message: str
) -> None:
    large(database)
    database.execute(PERSONAL)
    with pytest.raises(SchemaError, match=message):
        extraction(database.url, tmp_path, source_params(profile=profile)).run()


def test_a_column_that_is_named_is_kept_whatever_its_name(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute("ALTER TABLE user_data ADD ip text DEFAULT 'v4'")
    extraction(database.url, tmp_path, source_params(profile=["ip"])).run()
    assert list(Log.open(tmp_path / "log").users) == ["user_id", "ip"]


def test_infinities_fall_into_the_outer_bands(tmp_path: Path) -> None:
    score = [float("-inf")] * 8 + [float(v) for v in range(12)] + [float("inf")] * 8
    users = pd.DataFrame({"user_id": range(len(score)), "score": score})
    profiles = code_profiles(users, DEFAULTS.features.segments - 4)
    json.dumps(profiles.columns[0].edges, allow_nan=False)
    codes = profiles.codes[:, 0].tolist()
    assert codes[0] == min(codes) > 0
    assert codes[-1] == max(codes)


def test_a_second_column_called_user_id_does_not_change_places_with_the_id(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(
        "ALTER TABLE user_data RENAME user_id TO uid",
        "ALTER TABLE user_data ADD user_id int DEFAULT 5",
        "ALTER TABLE feed_data RENAME user_id TO uid",
    )
    extraction(database.url, tmp_path, source_params(user_id="uid")).run()
    users = Log.open(tmp_path / "log").users
    assert (list(users), users["user_id"].tolist()[:2]) == (["user_id", "age"], [2, 4])


DAYS = """ALTER TABLE user_data ADD joined timestamptz, ADD born date, ADD last_seen timestamp;
  UPDATE user_data SET joined = '2021-09-28 23:00Z', last_seen = '2021-10-09 12:00',
    born = CASE WHEN user_id < 6 THEN date '-infinity' ELSE 'infinity' END WHERE user_id > 2"""


def test_further_id_like_columns_never_take_the_place_of_an_id(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    extraction(database.url, tmp_path / "before").run()
    database.execute(
        "ALTER TABLE user_data ADD id uuid DEFAULT gen_random_uuid(), ADD post_id int DEFAULT 1",
        "ALTER TABLE post_text_df ADD id serial, ADD user_id text DEFAULT 'author'",
        "ALTER TABLE feed_data ADD id bigserial, ADD uid uuid DEFAULT gen_random_uuid()",
    )
    source = Source(database.url, DEFAULTS.source)
    assert not [f for f in check_source(source, DEFAULTS) if f.level == "problem"]
    extraction(database.url, tmp_path / "after").run()
    assert impressions(tmp_path / "after") == impressions(tmp_path / "before")
    database.execute(
        "ALTER TABLE user_data DROP id",
        "ALTER TABLE user_data RENAME user_id TO id",
        "ALTER TABLE user_data ADD uid int DEFAULT 5",
        "ALTER TABLE post_text_df DROP id",
        "ALTER TABLE post_text_df RENAME post_id TO id",
    )
    extraction(database.url, tmp_path / "renamed").run()
    assert impressions(tmp_path / "renamed") == impressions(tmp_path / "before")


def test_moments_are_days_of_the_log_s_clock(database: TestDatabase, tmp_path: Path) -> None:
    large(database)
    database.execute(DAYS)
    names = source_params(profile=["joined", "born"], time_zone="Europe/Berlin")
    extraction(database.url, tmp_path, names).run()
    days = Log.open(tmp_path / "log").user_days
    assert days["joined"].fillna(99).tolist()[:3] == [99, -2, -2]
    never = days["born"]
    assert np.isnan(never[0])
    assert never[1] < -700_000
    assert never[2] > 2_900_000


def test_a_moment_after_first_impressions_is_used_only_if_it_is_named(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(DAYS)
    extraction(database.url, tmp_path).run()
    assert list(Log.open(tmp_path / "log").users) == ["user_id", "age", "joined"]
    report = json.loads((tmp_path / "reports" / "data.json").read_text())["left_out_columns"]
    assert "as a last login: name it in source.profile" in report["last_seen"]
    extraction(database.url, tmp_path, source_params(profile=["last_seen"])).run()
    assert list(Log.open(tmp_path / "log").user_days) == ["last_seen"]


ARRAYS = """ALTER TABLE user_data ADD tags text[], ADD years int[], ADD friends int[],
    ADD spots point[];
  UPDATE user_data SET tags = '{news,sport}', years = ARRAY[[2020, 2021], [NULL, 2021]],
    friends = ARRAY[user_id], spots = '{}' WHERE user_id > 50;
  UPDATE user_data SET tags = '{sport,secret}' WHERE user_id = 4;
  UPDATE user_data SET tags = '{}' WHERE user_id = 6"""


def test_frequent_values_of_arrays_become_memberships(
    database: TestDatabase, tmp_path: Path
) -> None:
    large(database)
    database.execute(ARRAYS)
    extraction(database.url, tmp_path).run()
    users = Log.open(tmp_path / "log").users.set_index("user_id")
    assert list(users) == ["age", "tags: sport", "tags: news", "years: 2020", "years: 2021"]
    assert users.loc[[4, 6, 52], "tags: sport"].tolist() == [1, 0, 1]
    assert users.loc[[4, 6, 52], "tags: news"].tolist() == [0, 0, 1]
    assert users.loc[2].isna().tolist() == [False, True, True, True, True]
    report = json.loads((tmp_path / "reports" / "data.json").read_text())["left_out_columns"]
    assert report["friends"] == "no value of at least 10 users and 1% of all"
    assert report["spots"] == "of type _point"
    assert b"secret" not in (tmp_path / "log" / "users.parquet").read_bytes()


def test_an_array_gives_few_memberships_and_the_most_frequent_ones() -> None:
    lists = pd.Series(["[]", *(json.dumps([f"v{v}" for v in range(n)]) for n in range(30))] * 10)
    table = memberships(lists.rename("tags"))
    assert list(table) == [f"tags: v{n}" for n in range(8)]
