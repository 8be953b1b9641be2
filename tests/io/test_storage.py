"""Files at a path or a URL are the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedrank.errors import ParamsError, SchemaError
from feedrank.features.row_files import StoredRows, load_rows, store_rows
from feedrank.features.rows import TrainingRows
from feedrank.io.storage import exists, fetched, inside, publish, read_bytes, url_of, write_bytes
from feedrank.log.files import Log
from tests.support.simulated_logs import posts_table, random_rows, users_table, workers, write_log

NAMES = ["a", "b"]
HELD = 40


def _rows(part: int) -> list[TrainingRows]:
    """In pieces, one of which holds nothing."""
    rows = _of(part)
    return [rows[:20], rows[:0], rows[20:]]


def _of(part: int) -> TrainingRows:
    rng = np.random.default_rng(part)
    n = 50 + part
    columns = (rng.integers(0, 9, n).astype(np.uint32) for _ in range(3))
    matrix = rng.normal(size=(n, 2)).astype(np.float32)
    matrix[0, 0] = np.nan
    return TrainingRows(matrix, rng.integers(0, 2, n).astype(np.uint8), *columns)


def _store_of(tmp_path: Path) -> str:
    return "fsspec+" + url_of(tmp_path / "store")  # read as any remote store


def test_a_file_is_written_and_read_at_a_url(tmp_path: Path) -> None:
    for url in (url_of(tmp_path), _store_of(tmp_path)):
        place = inside(url, "deep/file")
        assert not exists(place)
        write_bytes(str(place), b"bytes")
        assert exists(place)
        assert read_bytes(place) == b"bytes"


def test_a_url_that_nothing_reads_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"'gopher://x' is no URL.*fsspec\+name://"):
        exists("gopher://x")


def test_a_missing_file_is_missing_at_a_path_and_at_a_url(tmp_path: Path) -> None:
    for place in (tmp_path / "none", f"{_store_of(tmp_path)}/none"):
        with pytest.raises(FileNotFoundError):
            read_bytes(place)


def test_a_published_directory_is_named_by_its_content(tmp_path: Path) -> None:
    directory, store = tmp_path / "made", _store_of(tmp_path)
    directory.mkdir()
    (directory / "one").write_bytes(b"1")
    url = publish(directory, store)
    assert publish(directory, store) == url
    (directory / "one").write_bytes(b"2")
    assert publish(directory, store) != url
    assert (fetched(url) / "one").read_bytes() == b"1"


def test_a_copy_that_was_broken_off_is_made_again(tmp_path: Path) -> None:
    directory, store = tmp_path / "made", _store_of(tmp_path)
    directory.mkdir()
    (directory / "one").write_bytes(b"1")
    url = publish(directory, store)
    where = tmp_path / "store" / url.rpartition("/")[2]
    (where / "one").unlink()
    (where / "_whole").unlink()
    assert publish(directory, store) == url
    assert read_bytes(f"{url}/one") == b"1"


def test_a_directory_of_this_machine_is_fetched_by_no_copy(tmp_path: Path) -> None:
    assert fetched(tmp_path) == tmp_path
    assert fetched(url_of(tmp_path)) == tmp_path


def test_a_log_at_a_url_is_the_log(tmp_path: Path) -> None:
    written = write_log(
        tmp_path / "log", users_table(9), posts_table(7), random_rows(300, 9, 7, 4), 3
    )
    log = Log.open(publish(tmp_path / "log", _store_of(tmp_path)))
    assert log.meta == written.meta
    assert log.users.equals(written.users)
    assert log.posts.equals(written.posts)
    for found, expected in zip(log.buckets(), written.buckets(), strict=True):
        for name, column in vars(expected).items():
            np.testing.assert_array_equal(getattr(found, name), column)


def test_stored_rows_are_the_rows(tmp_path: Path) -> None:
    with workers(1):
        stored = store_rows(_rows, 3, NAMES, url_of(tmp_path), HELD)
        stored.save(tmp_path)
        found = load_rows(tmp_path)
        assert isinstance(found, StoredRows)
        everything = found.between(0, 100)
        some = found.between(3, 6)
    expected = TrainingRows.joined([_of(part) for part in range(3)])
    for name, column in vars(expected.sorted()).items():
        np.testing.assert_array_equal(getattr(everything, name), column, err_msg=name)
    assert len(some) == np.sum((expected.at >= 3) & (expected.at < 6))


def test_stored_rows_move_with_their_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    with workers(1):
        store_rows(_rows, 2, NAMES, url_of(first), HELD).save(first)
    first.rename(second)
    found = load_rows(second)
    assert isinstance(found, StoredRows)
    assert sum(map(len, found.pieces(1))) == 51


def test_a_part_that_is_done_twice_is_one_file(tmp_path: Path) -> None:
    with workers(1):
        once = store_rows(_rows, 2, NAMES, url_of(tmp_path), HELD)
        assert store_rows(_rows, 2, NAMES, url_of(tmp_path), HELD) == once
    assert len(list(tmp_path.iterdir())) == 2


def test_a_sample_of_stored_rows_does_not_depend_on_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedrank.features.row_files.SAMPLE_ROWS", 40)
    expected = TrainingRows.joined([_of(part) for part in range(3)])
    with workers(1):
        cut = store_rows(_rows, 3, NAMES, url_of(tmp_path / "a"), HELD).between(0, 100)
        whole = store_rows(lambda _: [expected], 1, NAMES, url_of(tmp_path / "b"), HELD).between(
            0, 100
        )
    assert 40 <= len(cut) < len(expected)
    np.testing.assert_array_equal(cut.at, whole.at)
    np.testing.assert_array_equal(cut.user, whole.user)


def test_rows_that_are_gone_say_what_to_run(tmp_path: Path) -> None:
    with workers(1):
        stored = store_rows(_rows, 1, NAMES, url_of(tmp_path), HELD)
    (tmp_path / stored.files[0]).unlink()
    with pytest.raises(SchemaError, match=r"no longer at.*dvc repro --force features"):
        next(stored.pieces(0))
