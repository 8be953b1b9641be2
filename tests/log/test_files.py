from __future__ import annotations

import itertools
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.errors import SchemaError
from feedrank.log import files
from feedrank.log.files import Log, bucket_path, write_bucket, write_meta
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import LogMeta

META = LogMeta(
    origin="2021-10-01T00:00:00",
    last_at=86_400 * 2 - 1,
    n_users=10,
    n_posts=5,
    n_impressions=6,
    n_likes=2,
    n_buckets=3,
    source="demo",
)
ROW = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 99), st.integers(0, 1))


def _rows(rows: list[tuple[int, int, int, int]]) -> Impressions:
    user, post, at, liked = np.array(rows, dtype=np.uint32).reshape(-1, 4).T
    return Impressions(user, post, at, liked.astype(np.uint8))


def _tuples(rows: Impressions) -> list[tuple[int, int, int, int]]:
    columns = (rows.user, rows.post, rows.at, rows.liked)
    return list(zip(*(c.tolist() for c in columns), strict=True))


@given(st.lists(ROW))
def test_rows_are_in_the_order_of_time_user_and_post(rows: list[tuple[int, int, int, int]]) -> None:
    expected = sorted(rows, key=lambda row: (row[2], row[0], row[1], row[3]))
    assert _tuples(_rows(rows).sorted()) == expected


@given(st.lists(ROW), st.integers(0, 100))
def test_before_is_half_open(rows: list[tuple[int, int, int, int]], until: int) -> None:
    ordered = _rows(rows).sorted()
    assert _tuples(ordered.before(until)) == [r for r in _tuples(ordered) if r[2] < until]


def test_a_bucket_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = _rows([(1, 2, 30, 1), (0, 4, 10, 0), (1, 1, 30, 0)])
    write_bucket(tmp_path, 2, rows)
    read = Log(tmp_path, META).bucket(2)
    assert _tuples(read) == [(0, 4, 10, 0), (1, 1, 30, 0), (1, 2, 30, 1)]
    assert [c.dtype.name for c in (read.user, read.post, read.at, read.liked)] == [
        "uint32", "uint32", "uint32", "uint8",
    ]  # fmt: skip


def test_an_empty_bucket_is_a_bucket(tmp_path: Path) -> None:
    write_bucket(tmp_path, 0, _rows([]))
    assert len(Log(tmp_path, META).bucket(0)) == 0
    assert len(Log(tmp_path, META).between(0, 0, 9)[0]) == 0


def test_row_groups_of_other_times_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 10)
    rows = _rows([(i % 7, i % 5, i * 7919 % 100, i % 2) for i in range(55)])
    write_bucket(tmp_path, 0, rows)
    read, whole = list[int](), pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_groups", lambda self, g: (read.extend(g), whole(self, g))[1]
    )
    for since in range(0, 101, 5):
        for until in range(since, 102, 3):
            found, logged = Log(tmp_path, META).between(0, since, until)
            assert _tuples(found) == [r for r in _tuples(rows.sorted()) if since <= r[2] < until]
            assert len(logged.policy) == len(found)
            assert not any(c.base is not None for p in (found, logged) for c in vars(p).values())
            n_read, read[:] = len(read), []
            assert n_read <= 2 + len(found) / 10


def test_the_order_that_rows_come_in_does_not_change_a_byte(tmp_path: Path) -> None:
    rows = _rows([(i % 7, i % 5, i * 7919 % 100, i % 2) for i in range(500)])
    write_bucket(tmp_path, 0, rows)
    write_bucket(tmp_path, 1, rows[np.random.default_rng(1).permutation(500)])
    assert bucket_path(tmp_path, 0).read_bytes() == bucket_path(tmp_path, 1).read_bytes()


@given(st.integers(1, 10**7), st.integers(1, 4096))
def test_buckets_are_ranges_of_users_that_cover_all(n_users: int, n_buckets: int) -> None:
    meta = LogMeta(**{**vars(META), "n_users": n_users, "n_buckets": n_buckets})
    ranges = [meta.user_range(b) for b in range(n_buckets)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == n_users
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    sizes = [last - first for first, last in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_seconds_and_moments_are_each_other_s_inverse() -> None:
    assert META.moment(90).isoformat() == "2021-10-01T00:01:30"
    assert META.seconds(META.moment(12_345)) == 12_345
    assert META.seconds(datetime(2021, 9, 30, 23, 59, 59)) == -1
    assert META.n_days == 2


def test_a_log_is_opened_by_its_meta_file(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"holds no log. Run `dvc repro extract` first"):
        Log.open(tmp_path)
    write_meta(tmp_path, META)
    assert Log.open(tmp_path).meta == META


def test_a_log_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({**vars(META), "format": 99}))
    with pytest.raises(SchemaError, match="is of format 99, this code reads 1"):
        Log.open(tmp_path)
