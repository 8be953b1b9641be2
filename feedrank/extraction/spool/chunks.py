"""Spool: chunks of a log on disk before it is whole, so that a killed run can be resumed.

A chunk is one file, whole or not there: a header, impressions packed by bucket, and the rows that
were dropped, with their original ids.
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
class Header:
    """Counts of one chunk.

    Attributes:
        bucket_rows: packed impressions of each bucket.
        n_dropped: rows of unknown users or posts.
        unknown_users: how many of them are impressions of an unknown user.
        unknown_posts: how many are impressions of a known user and an unknown post; the others are
            likes.
        days: `Days.as_json` of all impressions, dropped ones included.
        first_at: the smallest packed time of an impression, -1 for none.
        last_at: the largest.
    """

    bucket_rows: list[int]
    n_dropped: int
    unknown_users: int
    unknown_posts: int
    days: dict[str, Any]
    first_at: int
    last_at: int


@dataclass(frozen=True)
class Chunk:
    """One chunk in memory.

    Attributes:
        header: its counts.
        packed: impressions sorted by bucket, uint64, shape (n,).
        dropped: impressions of unknown users or posts, of dtype DROPPED; times in seconds since
            2000-01-01.
    """

    header: Header
    packed: np.ndarray
    dropped: np.ndarray


class Spool:
    """A directory of chunks, all of the same state of the source."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._headers: dict[str, tuple[Header, int]] = {}

    @property
    def state(self) -> dict[str, Any] | None:
        """The state that the chunks were read from; None if there are none."""
        try:
            state: dict[str, Any] = json.loads((self.directory / STATE).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return state

    def start(self, state: dict[str, Any]) -> None:
        """Remove all chunks; the next ones are of this state."""
        self.clear()
        self.directory.mkdir(parents=True)
        write_whole(self.directory / STATE, json.dumps(state, sort_keys=True).encode())

    def clear(self) -> None:
        """Remove everything."""
        self._headers.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    def names(self) -> list[str]:
        """Names of all chunks, in order."""
        return sorted(p.stem for p in self.directory.glob("*.chunk"))

    def keep_whole_chunks(self) -> list[str]:
        """Names of the chunks whose checksum is right; others are removed."""
        for path in self.directory.glob("*.chunk"):
            if not _is_whole(path):
                path.unlink()
        return self.names()

    def add(self, name: str, chunk: Chunk) -> None:
        """Write a chunk, whole or not at all."""
        crc = zlib.crc32(chunk.dropped.data, zlib.crc32(chunk.packed.data))
        text = json.dumps({**asdict(chunk.header), "crc": crc}).encode()
        start = len(text).to_bytes(LENGTH, "little") + text
        write_whole(self._path(name), start, chunk.packed.data, chunk.dropped.data)

    def days(self) -> Days:
        """Counts of all chunks together."""
        return sum_days(Days.from_json(h.days) for h in self._all_headers())

    def n_dropped(self) -> tuple[int, int, int]:
        """Dropped impressions of unknown users, those of unknown posts, and dropped likes."""
        headers = self._all_headers()
        users, posts = (
            sum(getattr(h, n) for h in headers) for n in ("unknown_users", "unknown_posts")
        )
        return users, posts, sum(h.n_dropped for h in headers) - users - posts

    @property
    def has_impressions(self) -> bool:
        """Whether an impression is in a bucket."""
        return any(h.first_at >= 0 for h in self._all_headers())

    def times(self) -> tuple[int, int]:
        """The smallest and the largest packed time of an impression."""
        headers = [h for h in self._all_headers() if h.first_at >= 0]
        return min(h.first_at for h in headers), max(h.last_at for h in headers)

    def bucket(self, number: int) -> np.ndarray:
        """Packed impressions of one bucket of all chunks, uint64, shape (n,), in no order."""
        ends = np.cumsum([h.bucket_rows[number] for h in self._all_headers()], dtype=int)
        packed = np.empty(int(ends[-1]), np.uint64)
        for name, end in zip(self.names(), ends, strict=True):
            part = self.part(name, number)
            packed[end - len(part) : end] = part
        return packed

    def dropped(self) -> np.ndarray:
        """Dropped impressions of all chunks, of dtype DROPPED, in no order."""
        parts = [self.dropped_of(name) for name in self.names()]
        return np.concatenate([np.empty(0, DROPPED), *parts])

    def part(self, name: str, number: int) -> np.ndarray:
        """Packed impressions of one bucket of one chunk, uint64, shape (n,)."""
        header, start = self._header(name)
        offset = start + 8 * sum(header.bucket_rows[:number])
        return np.fromfile(self._path(name), "<u8", header.bucket_rows[number], offset=offset)

    def dropped_of(self, name: str) -> np.ndarray:
        """Dropped impressions of one chunk, of dtype DROPPED."""
        header, start = self._header(name)
        offset = start + 8 * sum(header.bucket_rows)
        return np.fromfile(self._path(name), DROPPED, header.n_dropped, offset=offset)

    def _all_headers(self) -> list[Header]:
        return [self._header(name)[0] for name in self.names()]

    def _header(self, name: str) -> tuple[Header, int]:
        if name not in self._headers:
            header, start, _ = _read_header(self._path(name))
            self._headers[name] = header, start
        return self._headers[name]

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.chunk"


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of dtype DROPPED in a total order."""
    return rows[np.lexsort([rows[n] for n in ("liked", "post_id", "user_id", "at")])]


def _read_header(path: Path) -> tuple[Header, int, int]:
    """A file's header, the position of its first impression, and its checksum."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        values = json.loads(file.read(length))
    crc = values.pop("crc")
    return Header(**values), LENGTH + length, crc


def _is_whole(path: Path) -> bool:
    """False after a loss of power, which can leave a file its name and length but not its bytes."""
    try:
        _, start, crc = _read_header(path)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError):
        return False
    with path.open("rb") as file:
        file.seek(start)
        return zlib.crc32(file.read()) == crc
