"""Arrays on disk: equal bytes, by whatever way they are written and read."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from feedrank.io import arrays
from feedrank.io.arrays import SpooledArray, pieces, read_array, write_array


@pytest.mark.parametrize("n", [0, 1, 5, 1000])
@pytest.mark.parametrize("kind", ["<u1", "<u2", "<i8", "S3"])
def test_a_file_has_the_bytes_of_numpy(
    n: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "PIECE_BYTES", 64)
    array = np.arange(n).astype(kind)
    np.save(tmp_path / "numpy.npy", array)
    write_array(tmp_path / "ours.npy", array)
    write_array(tmp_path / "copy.npy", read_array(tmp_path / "ours.npy"))
    expected = (tmp_path / "numpy.npy").read_bytes()
    assert (tmp_path / "ours.npy").read_bytes() == expected
    assert (tmp_path / "copy.npy").read_bytes() == expected


def test_parts_of_a_spooled_array_are_one(tmp_path: Path) -> None:
    parts = [np.arange(n, dtype=np.int64) for n in (3, 0, 70_000)]
    with closing(SpooledArray(np.dtype(np.uint16))) as spooled:
        assert not len(spooled.mapped())
        for part in parts:
            spooled.append(part)
        found = spooled.mapped()
    expected = np.concatenate(parts).astype(np.uint16)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.concatenate(list(pieces(found))), expected)
    np.testing.assert_array_equal(found, expected)  # again, after its pages were let go


def _in_memory(path: Path) -> int:
    """Bytes of a mapped file that this process has in memory."""
    return sum(m.rss for m in psutil.Process().memory_maps() if m.path == str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in memory")
def test_a_mapped_array_is_written_without_being_held(tmp_path: Path) -> None:
    n = 3 * arrays.PIECE_BYTES
    np.save(tmp_path / "large.npy", np.zeros(n, np.uint8))
    mapped = read_array(tmp_path / "large.npy")
    assert mapped.sum() == 0  # all pages are in memory
    assert _in_memory(tmp_path / "large.npy") >= n // 2
    write_array(tmp_path / "copy.npy", mapped)
    assert _in_memory(tmp_path / "large.npy") < arrays.PIECE_BYTES
