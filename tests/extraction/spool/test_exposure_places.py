"""Exposures of the service beside the impressions of a log."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.fingerprint import refresh_fingerprint
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.spool import exposure_lists, exposure_source
from feedrank.log.exposures import exposure_files, parsed, read_exposures
from feedrank.log.files import Log, bucket_path
from tests.conftest import TestDatabase
from tests.support.postgres_tables import extraction, files, large, small, source_params

Line = tuple[str, Any, list[Any], list[float], str]


def _log(directory: Path, lines: list[Line], name: str = "exposures-2021-10-01-1.jsonl") -> None:
    directory.mkdir(exist_ok=True)
    with (directory / name).open("a") as file:
        for at, user_id, posts, propensity, artifact in lines:
            line = {
                "served_at": at, "user_id": user_id, "at": at, "exp_group": "control",
                "propensity": 1.0, "artifact": artifact, "posts": posts,
                "probability": [0.5] * len(posts), "slot_propensity": propensity, "explore": 0.1,
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")


def _exposed(directory: Path) -> dict[tuple[str, int, int], tuple[float, str]]:
    """Propensity and policy by (moment, user_id, post_id), of impressions that are of a list."""
    log = Log.open(directory / "log")
    found = {}
    for number in range(log.meta.n_buckets):
        rows, exposures = log.between(number, 0, log.meta.last_at + 1)
        assert len(rows) == len(log.bucket(number))
        assert len(exposures.propensity) == len(exposures.policy) == len(rows)
        for i in np.flatnonzero(exposures.policy).tolist():
            key = (
                log.meta.moment(rows.at[i]).isoformat(" "),
                int(log.users["user_id"][rows.user[i]]),
                int(log.posts["post_id"][rows.post[i]]),
            )
            policy = log.meta.policies[exposures.policy[i] - 1]
            found[key] = (round(float(exposures.propensity[i]), 4), policy)
        is_old = exposures.policy == 0
        assert np.isnan(exposures.propensity[is_old]).all()
        assert not np.isnan(exposures.propensity[~is_old]).any()
    return found


def _report(directory: Path) -> dict[str, int]:
    report: dict[str, Any] = json.loads((directory / "reports" / "data.json").read_text())
    return dict(report["exposures"])


def test_an_impression_is_of_the_last_list_that_held_its_post(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    _log(tmp_path / "lists", [
        ("2021-10-02T07:30:00", 7, [10, 30], [1.0, 0.5], "a"),
        ("2021-10-02T07:59:00.7", 7, [20, 10], [1.0, 0.25], "b"),
        ("2021-10-02T08:00:01", 7, [10], [0.75], "c"),  # after the impression
        ("2021-10-03T22:59:58", 1, [20], [0.5], "a"),  # a second too early
        ("2021-10-01T06:00:00", 3, [20], [0.5], "a"),  # within the same second
    ])  # fmt: skip
    names = source_params(exposures=str(tmp_path / "lists"))
    meta = extraction(database.url, tmp_path, names).run()
    assert meta.policies == ("a explore 0.1", "b explore 0.1", "c explore 0.1")
    assert _exposed(tmp_path) == {
        ("2021-10-01 06:00:00", 3, 20): (0.5, "a explore 0.1"),
        ("2021-10-02 08:00:00", 7, 10): (0.25, "b explore 0.1"),
        ("2021-10-02 08:00:11", 7, 30): (0.5, "a explore 0.1"),
    }
    assert _report(tmp_path) == {
        "lists": 5, "places": 7, "unknown": 0, "outside": 0, "impressions": 3,
        "without_impression": 4,
    }  # fmt: skip


def test_of_two_lists_of_one_second_the_smaller_propensity_counts(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    at = "2021-10-02T07:59:00"
    _log(tmp_path / "lists", [
        (at, 7, [10, 30], [0.5, 0.25], "a"),
        (at, 7, [10, 30], [0.25, 0.5], "b"),
    ])  # fmt: skip
    names = source_params(exposures=str(tmp_path / "lists"))
    extraction(database.url, tmp_path, names).run()
    assert _exposed(tmp_path) == {
        ("2021-10-02 08:00:00", 7, 10): (0.25, "b explore 0.1"),
        ("2021-10-02 08:00:11", 7, 30): (0.25, "a explore 0.1"),
    }


def test_a_list_before_the_first_midnight_has_impressions_after_it(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute("INSERT INTO feed_data VALUES ('2021-10-01 00:05:00', 1, 30, 'view', 0)")
    _log(tmp_path / "lists", [
        ("2021-09-30T23:59:00", 1, [30], [0.5], "a"),
        ("2021-09-30T22:00:00", 1, [30], [1.0], "a"),
        ("2021-10-09T22:00:00", 1, [30], [1.0], "a"),
        ("2021-10-02T08:00:00", 8, [30], [1.0], "a"),
        ("2021-10-02T08:00:00", 7, [31], [1.0], "a"),
    ])  # fmt: skip
    names = source_params(exposures=str(tmp_path / "lists"))
    extraction(database.url, tmp_path, names).run()
    assert list(_exposed(tmp_path)) == [("2021-10-01 00:05:00", 1, 30)]
    counts = _report(tmp_path)
    assert (counts["outside"], counts["unknown"], counts["without_impression"]) == (2, 2, 0)


def _random_lists(n: int) -> list[Line]:
    """Lists of many moments; of every fourth there is a second one, of the same second."""
    rng = np.random.default_rng(11)
    at = datetime(2021, 9, 30, 23)
    lists = [
        (
            (at + timedelta(seconds=int(rng.integers(0, 11 * 86_400)))).isoformat(),
            int(rng.integers(1, 110)),
            rng.permutation(42)[:5].tolist(),
            rng.uniform(0.01, 1, 5).round(3).tolist(),
            str(rng.choice(["a", "b"])),
        )
        for _ in range(n)
    ]
    return lists + [(*line[:3], line[3][::-1], "aa") for line in lists[::4]]


def _slowly(directory: Path, lists: list[Line], window: int) -> dict[tuple[str, int, int], float]:
    """What the join should find, an impression at a time."""
    log = Log.open(directory / "log")
    of_pair: dict[tuple[int, int], list[tuple[datetime, float]]] = {}
    for at, user, posts, propensity, _ in lists:
        for post, p in zip(posts, propensity, strict=True):
            of_pair.setdefault((user, post), []).append((datetime.fromisoformat(at), -p))
    found = {}
    for rows in log.buckets():
        for user_row, post_row, seconds in zip(
            rows.user.tolist(), rows.post.tolist(), rows.at.tolist(), strict=True
        ):
            shown = log.meta.moment(seconds)
            user = int(log.users["user_id"][user_row])
            post = int(log.posts["post_id"][post_row])
            before = [
                (at, minus_p)
                for at, minus_p in of_pair.get((user, post), [])
                if timedelta(0) <= shown - at <= timedelta(seconds=window)
            ]
            if before:
                found[shown.isoformat(" "), user, post] = round(-max(before)[1], 4)
    return found


def test_the_join_is_that_of_a_slow_search(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_lists, "BLOCK_LISTS", 700)
    large(database)
    lists = _random_lists(5_000)
    _log(tmp_path / "lists", lists)
    names = source_params(exposures=str(tmp_path / "lists"), exposure_window="1d")
    extraction(database.url, tmp_path, names, buckets=7).run()
    found = {key: p for key, (p, _) in _exposed(tmp_path).items()}
    assert len(found) > 1_000
    assert found == _slowly(tmp_path, lists, 86_400)
    assert [p.name for p in (tmp_path / ".spool" / "exposures").iterdir()] == ["lists"]


def test_bytes_depend_neither_on_buckets_of_lists_nor_on_files_nor_on_an_earlier_log(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    lists = _random_lists(2_000)
    _log(tmp_path / "one", lists)
    extraction(database.url, tmp_path / "a", source_params(exposures=str(tmp_path / "one"))).run()
    other = source_params(exposures=str(tmp_path / "other"))
    _log(tmp_path / "other", lists[1_500:])
    extraction(database.url, tmp_path / "b", other).run()
    assert files(tmp_path / "a") != files(tmp_path / "b")
    _log(tmp_path / "other", lists[:1_500], "exposures-2021-10-01-0.jsonl")
    monkeypatch.setattr(exposure_lists, "BLOCK_LISTS", 300)
    extraction(database.url, tmp_path / "b", other).run()
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_file_that_is_as_it_was_is_not_parsed_again(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(database)
    parsed: list[str] = []
    real = exposure_source.exposures_of
    monkeypatch.setattr(
        exposure_source, "exposures_of", lambda path: parsed.append(path.name) or real(path)
    )
    lists, names = _random_lists(900), source_params(exposures=str(tmp_path / "lists"))
    _log(tmp_path / "lists", lists[:500], "exposures-a.jsonl")
    _log(tmp_path / "lists", lists[500:700], "exposures-b.jsonl")
    extraction(database.url, tmp_path, names).run()
    _log(tmp_path / "lists", lists[700:], "exposures-b.jsonl")
    extraction(database.url, tmp_path, names).run()
    assert parsed == ["exposures-a.jsonl", "exposures-b.jsonl", "exposures-b.jsonl"]
    assert _report(tmp_path)["lists"] == len(lists)
    (tmp_path / "lists" / "exposures-a.jsonl").unlink()
    extraction(database.url, tmp_path, names).run()
    assert len(parsed) == 3
    assert len(list((tmp_path / ".spool" / "exposures" / "lists").iterdir())) == 1
    extraction(database.url, tmp_path / "other", names).run()
    assert files(tmp_path) == files(tmp_path / "other")


def test_an_id_of_another_kind_hides_no_other(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    _log(tmp_path / "lists", [
        ("2021-10-02T07:59:00", 7, [10, "x"], [1.0, 0.5], "a"),
        ("2021-10-02T07:59:00", "somebody", [10, 10**30], [1.0, 0.5], "a"),
    ])  # fmt: skip
    extraction(database.url, tmp_path, source_params(exposures=str(tmp_path / "lists"))).run()
    counts = _report(tmp_path)
    assert (counts["impressions"], counts["unknown"]) == (1, 3)


def test_a_log_without_exposures_has_the_columns_and_names_of_before(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    extraction(database.url, tmp_path).run()
    assert pq.read_schema(bucket_path(tmp_path / "log", 0)).names == ["user", "post", "at", "liked"]
    assert "policies" not in json.loads((tmp_path / "log" / "meta.json").read_text())
    assert "exposures" not in json.loads((tmp_path / "reports" / "data.json").read_text())
    assert _exposed(tmp_path) == {}


def test_ids_of_text_are_found(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    for table, column in (("user_data", "user_id"), ("feed_data", "user_id")):
        database.execute(f"ALTER TABLE {table} ALTER {column} TYPE text USING 'u' || {column}")
    _log(tmp_path / "lists", [("2021-10-02T07:59:00", "u7", [10, 30], [1.0, 0.5], "a")])
    extraction(database.url, tmp_path, source_params(exposures=str(tmp_path / "lists"))).run()
    assert _report(tmp_path)["impressions"] == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2 of '.*1.jsonl' is not JSON"),
        ('{"served_at": 1}', r"line 2 of '.*1.jsonl' is not an exposure of this version"),
    ],
)
def test_a_broken_line_is_named(
    database: TestDatabase, tmp_path: Path, line: str, message: str
) -> None:
    small(database)
    _log(tmp_path / "lists", [("2021-10-02T07:59:00", 7, [10, 30], [1.0, 0.5], "a")])
    (file,) = exposure_files(tmp_path / "lists")
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(SchemaError, match=message):
        extraction(database.url, tmp_path, source_params(exposures=str(tmp_path / "lists"))).run()


def test_propensities_of_other_places_are_said_in_words() -> None:
    line = {
        "user_id": 7, "at": "2021-10-02T07:59:00", "exp_group": "control", "propensity": 1.0,
        "artifact": "a", "posts": [10], "probability": [0.5], "slot_propensity": [],
    }  # fmt: skip
    message = r"version \('slot_propensity' and 'posts' must be of one length\)\. Remove"
    with pytest.raises(SchemaError, match=message):
        parsed(json.dumps(line).encode(), "line 1")


def test_blank_lines_are_no_lists(tmp_path: Path) -> None:
    _log(tmp_path, [("2021-10-02T07:59:00", 7, [10], [1.0], "a")])
    (file,) = exposure_files(tmp_path)
    file.write_bytes(b"\n\r\n" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert [e.user_id for e in read_exposures(tmp_path)] == [7]


@pytest.mark.parametrize("propensity", [[1.0], [1.0, 0.0], [1.0, 1.5]])
def test_propensities_are_of_each_place_and_within_0_and_1(
    database: TestDatabase, tmp_path: Path, propensity: list[float]
) -> None:
    small(database)
    _log(tmp_path / "lists", [("2021-10-02T07:59:00", 7, [10, 30], propensity, "a")])
    with pytest.raises(SchemaError, match=r"line 1 of .* is not an exposure .*slot_propensity"):
        extraction(database.url, tmp_path, source_params(exposures=str(tmp_path / "lists"))).run()


def test_a_new_line_changes_the_fingerprint(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    params = source_params(exposures=str(tmp_path / "lists"))
    path, cache = tmp_path / "source.json", tmp_path / "signature.json"

    def refreshed(names: object = params) -> bytes:
        source = Source(database.url, replace(params, exposures=names) if names is None else params)
        refresh_fingerprint(path, cache, source, "database", 1)
        return path.read_bytes()

    with pytest.raises(SchemaError, match=r"lists', the directory of the exposures, is not there"):
        refreshed()
    without = refreshed(None)
    assert "exposures" not in json.loads(without)
    list_of_7: Line = ("2021-10-02T07:59:00", 7, [10, 30], [1.0, 0.5], "a")
    _log(tmp_path / "lists", [list_of_7])
    first = refreshed()
    assert refreshed() == first != without
    _log(tmp_path / "lists", [list_of_7])
    assert refreshed() != first


def test_lists_that_no_impression_is_of_are_warned_of(
    database: TestDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small(database)
    _log(tmp_path / "lists", [("2021-10-02T03:59:00", 7, [10, 30], [1.0, 0.5], "a")])
    with caplog.at_level("INFO"):
        extraction(database.url, tmp_path, source_params(exposures=str(tmp_path / "lists"))).run()
    assert "1 returned lists of 2 places; 0 impressions are of them" in caplog.text
    assert "no impression is of any returned list" in caplog.text
