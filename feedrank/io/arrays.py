"""Arrays on disk: read by mapping, written without being held, whatever their size."""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path
from tempfile import TemporaryFile
from typing import Iterator, Union

import numpy as np

Place = Union[Path, zipfile.Path]
PIECE_BYTES = 1 << 24  # of a large array that is read from end to end: any number that fits memory


def read_array(place: Place) -> np.ndarray:
    """Array of a `.npy` file: memory-mapped from a directory, held in memory from a zip."""
    if isinstance(place, Path):
        return np.asarray(np.load(place, mmap_mode="r", allow_pickle=False))
    return np.asarray(np.load(io.BytesIO(place.read_bytes()), allow_pickle=False))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a `.npy` file of shape (n,), as `numpy.save` does; a mapped array is not held."""
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces(array):
            piece.tofile(file)


def pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array of shape (n,) from one end to the other; pages of a mapped one are let go."""
    length = max(1, PIECE_BYTES // array.itemsize)
    for start in range(0, len(array), length):
        yield array[start : start + length]
        let_go(array)


def let_go(*arrays: np.ndarray) -> None:
    """Take the pages of mapped arrays out of memory; they are read again when they are needed."""
    for mapping in filter(None, map(_mapping_of, arrays)):
        mapping.madvise(mmap.MADV_DONTNEED)


def _mapping_of(array: np.ndarray | None) -> mmap.mmap | None:
    """The mapping that an array reads, if it cannot be written to and the system lets go pages."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            can = array.mode == "r" and hasattr(mmap, "MADV_DONTNEED")
            return getattr(array, "_mmap", None) if can else None
        array = array.base
    return None


class SpooledArray:
    """An array that is written to a file for temporary files as its parts come.

    Args:
        kind: of the numbers.
    """

    def __init__(self, kind: np.dtype) -> None:
        self._kind, self._file = kind, TemporaryFile()  # noqa: SIM115
        self._length = 0

    def append(self, part: np.ndarray) -> None:
        """Add numbers at the end."""
        self._file.write(np.ascontiguousarray(part, self._kind).data)
        self._length += len(part)

    def mapped(self) -> np.ndarray:
        """All numbers, memory-mapped, shape (n,)."""
        if not self._length:
            return np.zeros(0, self._kind)
        self._file.flush()
        return np.asarray(np.memmap(self._file, self._kind, "r", shape=(self._length,)))

    def close(self) -> None:
        """Take no more numbers; the file is gone when nothing maps it."""
        self._file.close()
