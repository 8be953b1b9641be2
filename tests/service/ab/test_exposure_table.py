"""Exposures in a table of the database, which the extract reads as it reads files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.fingerprint import refresh_fingerprint
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.spool import exposure_source
from feedrank.log.exposures import Exposure
from service import exposure_table
from service.ab.exposure_log import ExposureLog
from service.exposure_table import copy_exposures, main
from tests.conftest import TestDatabase
from tests.support.postgres_tables import extraction, files, small, source_params

MOMENTS = ["2021-10-02T07:30:00", "2021-10-02T07:59:00", "2021-10-01T05:59:59"]
USERS = [7, 7, 3]


def _line(at: str, user_id: int) -> str:
    line = {
        "served_at": at, "user_id": user_id, "at": at, "exp_group": "control", "propensity": 1.0,
        "artifact": "a, \"b\"", "posts": [10, 20], "probability": [0.5, 0.5],
        "slot_propensity": [1.0, 0.25], "explore": 0.1,
    }  # fmt: skip
    return json.dumps(line) + "\n"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    directory = tmp_path / "lists"
    directory.mkdir()
    for name, rows in (("2021-10-01-5", slice(0, 2)), ("2021-10-02-6", slice(2, 3))):
        text = "".join(map(_line, MOMENTS[rows], USERS[rows]))
        (directory / f"exposures-{name}.jsonl").write_text(text + '{"begun')
    return directory


def _source(database: TestDatabase) -> Source:
    return Source(database.url, source_params(exposures="table:shown lists"))


def _copied(database: TestDatabase, lines: Path, host: str = "one") -> int:
    return copy_exposures(_source(database), "shown lists", lines, host)


def test_a_table_gives_the_log_that_its_files_give(
    database: TestDatabase, tmp_path: Path, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(database)
    for module in (exposure_source, exposure_table):
        monkeypatch.setattr(module, "BLOCK_LINES", 1)
    assert _copied(database, lines) == 3
    extraction(database.url, tmp_path / "a", source_params(exposures=str(lines))).run()
    extraction(database.url, tmp_path / "b", _source(database).params).run()
    assert files(tmp_path / "a") == files(tmp_path / "b")
    report = json.loads((tmp_path / "b" / "reports" / "data.json").read_text())
    assert report["exposures"]["impressions"] == 2


def test_each_line_is_copied_once_from_each_host(database: TestDatabase, lines: Path) -> None:
    assert [_copied(database, lines), _copied(database, lines)] == [3, 0]
    with (lines / "exposures-2021-10-02-6.jsonl").open("w") as file:
        file.write(_line(MOMENTS[2], USERS[2]) + _line(MOMENTS[0], 1))
    assert _copied(database, lines) == 1
    assert _copied(database, lines, "two") == 4
    assert database.execute('SELECT count(*), count(DISTINCT file) FROM "shown lists"') == [(8, 4)]


def test_a_process_id_that_comes_again_on_a_fresh_disk_loses_no_line(
    database: TestDatabase, tmp_path: Path
) -> None:
    at = datetime(2021, 10, 2, 7, 30)
    for disk, user in (("first", 7), ("second", 3)):
        log = ExposureLog(tmp_path / disk, clock=lambda: at.replace(tzinfo=UTC))
        log.append(Exposure(user, at, "control", 1.0, "a", [10], [0.5]))
        log.close()
        assert _copied(database, tmp_path / disk) == 1


def test_a_broken_line_is_named_and_nothing_is_copied(database: TestDatabase, lines: Path) -> None:
    assert _copied(database, lines) == 3
    with (lines / "exposures-2021-10-01-5.jsonl").open("w") as file:
        file.write("".join(map(_line, MOMENTS[:2], USERS[:2])) + _line(MOMENTS[0], 1) + "broken\n")
    with pytest.raises(SchemaError, match=r"line 4 of '.*-5.jsonl' is not JSON"):
        _copied(database, lines)
    assert database.execute('SELECT count(*) FROM "shown lists"') == [(3,)]


def test_a_new_line_changes_the_fingerprint(
    database: TestDatabase, tmp_path: Path, lines: Path
) -> None:
    small(database)

    def refreshed() -> bytes:
        path, cache = tmp_path / "source.json", tmp_path / "signature.json"
        refresh_fingerprint(path, cache, _source(database), "database", 1)
        return path.read_bytes()

    with pytest.raises(SchemaError, match="shown lists"):
        refreshed()
    _copied(database, lines)
    first = refreshed()
    assert refreshed() == first
    _copied(database, lines, "two")
    both = refreshed()
    database.execute("DELETE FROM \"shown lists\" WHERE file LIKE 'two/%5.jsonl' AND number = 1")
    assert len({first, both, refreshed()}) == 3


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM {} WHERE number = 1 AND file LIKE '%-5.jsonl'",
        "UPDATE {} SET line = replace(line, '[10,', '[30,')",
        'ALTER TABLE {} RENAME TO old; ALTER TABLE "other lists" RENAME TO "shown lists"',
        None,
    ],
    ids=["deleted", "changed", "renamed", "another"],
)
def test_lists_that_are_kept_are_those_of_the_table(
    database: TestDatabase, tmp_path: Path, lines: Path, change: str | None
) -> None:
    small(database)
    params, other = _source(database).params, source_params(exposures="table:other lists")
    _copied(database, lines)
    database.execute(
        'CREATE TABLE "other lists" (LIKE "shown lists" INCLUDING ALL)',
        """INSERT INTO "other lists"
           SELECT file, number, replace(line, '0.25', '0.75') FROM "shown lists\"""",
    )
    extraction(database.url, tmp_path / "a", params).run()
    if change is None:
        params = other
    else:
        database.execute(change.format('"shown lists"'))
    extraction(database.url, tmp_path / "a", params).run()
    extraction(database.url, tmp_path / "b", params).run()
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize(
    ("columns", "fact"),
    [
        (None, "has no table 'shown lists'"),
        ("file text, number integer", "has no column 'line'"),
        ("file text, number text, line text", "must hold whole numbers, but is of type text"),
    ],
)
def test_a_table_that_holds_no_exposures_is_refused_with_a_remedy(
    database: TestDatabase, columns: str | None, fact: str
) -> None:
    if columns:
        database.execute(f'CREATE TABLE "shown lists" ({columns})')
    with pytest.raises(SchemaError, match=f"{fact}.* service.exposure_table DIR`, or name another"):
        exposure_source.exposure_source(_source(database))


def test_the_command_says_how_many_lines_are_new(
    database: TestDatabase, lines: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.delenv("FEED_DSN", raising=False)
    assert main([str(lines)]) == 1
    assert "FEED_DSN is not set" in capsys.readouterr().err
    monkeypatch.setenv("FEED_DSN", "demo")
    assert main([str(lines)]) == 1
    assert "FEED_DSN is 'demo', so there is no table of exposures. Set" in capsys.readouterr().err
    monkeypatch.setenv("FEED_DSN", database.url)
    assert main([str(lines)]) == 0
    assert capsys.readouterr().out == "3 new lines are in 'exposures'.\n"
    assert main([str(lines / "nowhere")]) == 1
    assert "is not there" in capsys.readouterr().err
