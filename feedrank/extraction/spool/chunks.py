"""Chunks of a log on disk before it is whole: what a killed run has read is not read again.

A chunk is a file of its own, whole or not there: impressions packed by bucket, and behind them
the rows that were dropped, with the ids that they came with.
"""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.extraction.audit.day_counts import Days, sum_days
from feedrank.io.files import write_whole

STATE = "state.json"
LENGTH = 8  # bytes that hold the length of a chunk's header
DROPPED = np.dtype([("user_id", "<i8"), ("post_id", "<i8"), ("at", "<i8"), ("liked", "<u1")])


@dataclass(frozen=True)
class Chunk:
    """One chunk in memory.

    Attributes:
        packed: impressions sorted by bucket, uint64, shape (n,).
        bucket_rows: impressions of each bucket.
        dropped: impressions of unknown users or posts, of dtype DROPPED; times in seconds since
            2000-01-01.
        unknown_users: how many of them are of an unknown user.
        days: counts of all, dropped ones included.
        first_at: the smallest time of `packed`, -1 for none.
        last_at: the largest.
    """

    packed: np.ndarray
    bucket_rows: list[int]
    dropped: np.ndarray
    unknown_users: int
    days: Days
    first_at: int
    last_at: int


@dataclass(frozen=True)
class ChunkHeader:
    """What a chunk's file says of itself."""

    bucket_rows: list[int]
    n_dropped: int
    unknown_users: int
    days: dict[str, Any]
    first_at: int
    last_at: int
    crc: int


class Spool:
    """A directory of chunks, all of the same state of the source."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._headers: dict[str, tuple[ChunkHeader, int]] = {}

    @property
    def state(self) -> dict[str, Any] | None:
        """What the chunks were read from; None if there are none."""
        path = self.directory / STATE
        try:
            state: dict[str, Any] = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return state

    def start(self, state: dict[str, Any]) -> None:
        """Forget all chunks; the next ones are of this state."""
        self.clear()
        self.directory.mkdir(parents=True)
        write_whole(self.directory / STATE, json.dumps(state, sort_keys=True).encode())

    def clear(self) -> None:
        """Forget everything."""
        self._headers.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    def names(self) -> list[str]:
        """Names of all chunks, in order."""
        return sorted(p.stem for p in self.directory.glob("*.chunk"))

    def keep_whole_chunks(self) -> list[str]:
        """Names of the chunks whose bytes are what they were; others are removed."""
        for path in self.directory.glob("*.chunk"):
            if not _is_whole(path):
                path.unlink()
        return self.names()

    def add(self, name: str, chunk: Chunk) -> None:
        """Write a chunk, whole or not at all."""
        header = ChunkHeader(
            bucket_rows=chunk.bucket_rows,
            n_dropped=len(chunk.dropped),
            unknown_users=chunk.unknown_users,
            days=chunk.days.as_json(),
            first_at=chunk.first_at,
            last_at=chunk.last_at,
            crc=zlib.crc32(chunk.dropped.data, zlib.crc32(chunk.packed.data)),
        )
        text = json.dumps(asdict(header)).encode()
        start = len(text).to_bytes(LENGTH, "little") + text
        write_whole(self._path(name), start, chunk.packed.data, chunk.dropped.data)

    def header(self, name: str) -> ChunkHeader:
        """What a chunk says of itself."""
        return self._header(name)[0]

    def _header(self, name: str) -> tuple[ChunkHeader, int]:
        if name not in self._headers:
            self._headers[name] = _header(self._path(name))
        return self._headers[name]

    def days(self) -> Days:
        """Counts of all chunks together."""
        return sum_days(Days.from_json(self.header(name).days) for name in self.names())

    def n_dropped(self) -> tuple[int, int]:
        """Dropped impressions of all chunks, and how many of them are of an unknown user."""
        headers = [self.header(name) for name in self.names()]
        return sum(h.n_dropped for h in headers), sum(h.unknown_users for h in headers)

    def times(self) -> tuple[int, int]:
        """The smallest and the largest packed time."""
        headers = [h for h in map(self.header, self.names()) if h.first_at >= 0]
        return min(h.first_at for h in headers), max(h.last_at for h in headers)

    def bucket(self, number: int) -> np.ndarray:
        """Packed impressions of one bucket of all chunks, in no order."""
        names = self.names()
        ends = np.cumsum([self.header(name).bucket_rows[number] for name in names], dtype=int)
        packed = np.empty(int(ends[-1]), np.uint64)
        for name, end in zip(names, ends, strict=True):
            part = self.part(name, number)
            packed[end - len(part) : end] = part
        return packed

    def dropped(self) -> np.ndarray:
        """Dropped impressions of all chunks, in a total order."""
        parts = [self.dropped_of(name) for name in self.names()]
        rows = np.concatenate([np.empty(0, DROPPED), *parts])
        return rows[np.lexsort([rows[n] for n in ("liked", "post_id", "user_id", "at")])]

    def part(self, name: str, number: int) -> np.ndarray:
        """Packed impressions of one bucket of one chunk."""
        header, start = self._header(name)
        offset = start + 8 * sum(header.bucket_rows[:number])
        return np.fromfile(self._path(name), "<u8", header.bucket_rows[number], offset=offset)

    def dropped_of(self, name: str) -> np.ndarray:
        """Dropped impressions of one chunk."""
        header, start = self._header(name)
        offset = start + 8 * sum(header.bucket_rows)
        return np.fromfile(self._path(name), DROPPED, header.n_dropped, offset=offset)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.chunk"


def _header(path: Path) -> tuple[ChunkHeader, int]:
    """A file's header, and where its impressions begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        return ChunkHeader(**json.loads(file.read(length))), LENGTH + length


def _is_whole(path: Path) -> bool:
    """After a loss of power, a file can have its name and length but not its bytes."""
    try:
        header, start = _header(path)
    except (ValueError, TypeError, UnicodeDecodeError, OverflowError, MemoryError):
        return False
    with path.open("rb") as file:
        file.seek(start)
        return zlib.crc32(file.read()) == header.crc
