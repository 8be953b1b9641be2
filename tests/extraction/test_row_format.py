from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedrank.errors import ParamsError
from feedrank.extraction.postgres.copy_reader import block_ranges
from feedrank.extraction.postgres.hashing import checksum
from feedrank.extraction.postgres.row_format import Layout
from feedrank.extraction.spool.encoder import IdRows
from feedrank.extraction.spool.packing import Packing
from feedrank.io.files import replace_directory
from tests.conftest import TestDatabase


def test_ranges_cover_every_blockonce() -> None:
    for blocks, rows, chunk_rows in [(0, 0, 10), (1, 5, 1000), (7, 700, 100), (100, 3, 1)]:
        covered = [
            block
            for r in block_ranges(blocks, rows, chunk_rows)
            for block in range(r.first, r.last)
        ]
        assert covered == list(range(blocks))


@pytest.mark.parametrize("gap", [1, 10**6, 10**15])
def test_an_id_has_the_row_of_its_place(gap: int) -> None:
    ids = np.arange(-3, 400) * gap
    asked = np.concatenate([ids[::-1], ids + gap // 2 + 1, [2**63 - 1, -(2**63)]])
    expected = [ids.tolist().index(i) if i in ids else -1 for i in asked]
    assert IdRows(ids).find(asked).tolist() == expected


def test_packed_impressions_sort_like_the_log() -> None:
    draw = np.random.default_rng(3)
    at, user, post, liked = (draw.integers(0, n, 500) for n in (86_400 * 3, 17, 1000, 2))
    packing = Packing.fitting(3, 17, 1000)
    packed = packing.pack(at, user, post, liked)
    rows = packing.unpack(np.sort(packed), 100, 0)
    order = np.lexsort((liked, post, user, at))
    assert rows.at.tolist() == at[order].tolist()
    assert rows.user.tolist() == (user[order] + 100).tolist()
    assert rows.post.tolist() == post[order].tolist()
    assert rows.liked.tolist() == liked[order].tolist()


def test_a_bucket_that_does_not_fit_asks_for_more_buckets() -> None:
    with pytest.raises(ParamsError, match=r"Raise 'extract.buckets'"):
        Packing.fitting(days=3000, users_a_bucket=10**7, n_posts=10**6)


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_directory(tmp_path / "old", tmp_path / "new")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_the_checksum_is_the_one_of_the_database(database: TestDatabase) -> None:
    draw = np.random.default_rng(1)
    keys = draw.integers(-(2**63), 2**63 - 1, 300)
    times = draw.integers(-(10**15), 10**15, 300) // 10**6 * 10**6
    values = ", ".join(
        f"({k}::int8, timestamp '2000-01-01' + interval '1 microsecond' * {t}::int8)"
        for k, t in zip(keys.tolist(), times.tolist(), strict=True)
    )
    check = Layout.check("k", "t")
    expected = [c for (c,) in database.execute(f"SELECT {check} FROM (VALUES {values}) AS v(k, t)")]
    assert checksum(keys, times).tolist() == expected
