"""Row format: an impression as a fixed number of bytes on the wire, and its checksum.

Rows come in the binary form of COPY. For a range of blocks the server concatenates all rows into
one value, since a message for each row would cost the client more time than the rows themselves
(4.4 against 6.1 million rows/s were measured).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.errors import SourceError
from feedrank.schema import NO_ID

MICROSECONDS = 1_000_000
COPY_HEADER = 19  # bytes before the first row: signature, flags and no extension
NULL = f"({NO_ID})::int8"  # in SQL
HASH_SEED = (0x9E3779B9 + 4 + 3923095) & 0xFFFFFFFF  # `hash_bytes_uint32`
ROW_HEADER = 2 + 4  # bytes before the one value of a row: number of values, length


@dataclass(frozen=True)
class WireRows:
    """Impressions as they come, in any order.

    Attributes:
        user_id: int64, shape (n,); NO_ID where it is NULL or too large.
        post_id: int64, shape (n,); likewise.
        at: seconds since 2000-01-01, int64, shape (n,).
        liked: 0 or 1, uint8, shape (n,).
    """

    user_id: np.ndarray
    post_id: np.ndarray
    at: np.ndarray
    liked: np.ndarray

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Layout:
    """The bytes of an impression.

    Narrow, where every known id lies in [0, 2^31): two whole numbers, the time and a key that
    packs user, post and label. Wide otherwise: all four on their own.
    """

    is_narrow: bool

    @classmethod
    def fitting(cls, *ids: np.ndarray) -> Layout:
        """The narrowest layout for the known ids."""
        return cls.for_bounds([int(bound) for i in ids if len(i) for bound in (i.min(), i.max())])

    @classmethod
    def for_bounds(cls, bounds: list[int]) -> Layout:
        """The narrowest layout for ids between some numbers."""
        return cls(all(0 <= bound < 1 << 31 for bound in bounds))

    @property
    def dtype(self) -> np.dtype[np.void]:
        """One impression on the wire."""
        if self.is_narrow:
            return np.dtype([("at", ">i8"), ("key", ">i8")])
        return np.dtype([("at", ">i8"), ("user", ">i8"), ("post", ">i8"), ("liked", "u1")])

    def parts(self, user: str, post: str, liked: str) -> list[str]:
        """SQL of the whole numbers that say which user, post and label an impression has."""
        if self.is_narrow:
            return [
                f"(CASE WHEN (({user} | {post})::int8 >> 31) = 0 "
                f"THEN ({user}::int8 << 32) | (({post}::int8 << 1) | {liked}::int8) "
                f"ELSE {liked}::int8 | {NULL} END)"
            ]
        return [f"coalesce({user}, {NULL})", f"coalesce({post}, {NULL})", f"{liked}::int8"]

    def record(self, at: str, user: str, post: str, liked: str) -> str:
        """SQL of the bytes of one impression."""
        *numbers, last = self.parts(user, post, liked)
        end = f"int8send({last})" if self.is_narrow else f"boolsend({liked} = 1)"
        return " || ".join([f"timestamp_send({at})", *(f"int8send({n})" for n in numbers), end])

    def check(self, at: str, user: str, post: str, liked: str) -> str:
        """SQL of the checksum of an impression; `checksums` is the same in numpy."""
        found = f"timestamp_hash(date_trunc('second', {at}))"
        for part in self.parts(user, post, liked):
            found = f"hashint8(hashint8({found} # {part}) # ({part} >> 32))"
        return found

    def parse(self, rows: np.ndarray) -> WireRows:
        """Impressions from an array of `dtype`."""
        at = rows["at"].astype(np.int64)
        at //= MICROSECONDS
        if self.is_narrow:
            key = rows["key"].astype(np.int64)
            user, post, liked = key >> 32, key >> 1, key.astype(np.uint8)
            post &= 0x7FFFFFFF
            liked &= 1
            unknown = np.flatnonzero(key < 0)
            post[unknown] = user[unknown] = NO_ID
            return WireRows(user, post, at, liked)
        user, post = rows["user"].astype(np.int64), rows["post"].astype(np.int64)
        return WireRows(user, post, at, rows["liked"].copy())

    def checksums(self, rows: WireRows) -> np.ndarray:
        """The source's checksum of each row, int64 in the range of int32, shape (n,)."""
        liked = rows.liked.astype(np.int64)
        parts = [rows.user_id, rows.post_id, liked]
        if self.is_narrow:
            key = (rows.user_id << 32) | (rows.post_id << 1) | liked
            parts = [np.where(rows.user_id == NO_ID, liked | NO_ID, key)]
        return checksum(rows.at * MICROSECONDS, parts)


def glued_rows(message: bytes, layout: Layout) -> np.ndarray:
    """The records of a COPY of one row with one value, NULL for no records.

    Raises:
        SourceError: the message is incomplete.
    """
    length = int.from_bytes(message[COPY_HEADER + 2 : COPY_HEADER + ROW_HEADER], "big", signed=True)
    start = COPY_HEADER + ROW_HEADER
    if length < 0:
        return np.empty(0, layout.dtype)
    if len(message) < start + length or length % layout.dtype.itemsize:
        raise SourceError("the database sent half a chunk. Run again.")
    return np.frombuffer(message, layout.dtype, length // layout.dtype.itemsize, start)


def single_rows(rows: bytes, layout: Layout) -> np.ndarray:
    """The records of COPY rows with one value each, without header and trailer."""
    framed = np.dtype([("frame", f"V{ROW_HEADER}"), ("record", layout.dtype)])
    return np.frombuffer(rows, framed)["record"]


def checksum(at: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Checksum of times and whole numbers, int64 in the range of int32, shape (n,).

    The numbers are hashed one after another, since bits of two would cancel in one; the upper half
    of each once more, since `hashint8` folds the halves into one.

    Args:
        at: time in microseconds, int64, shape (n,).
        parts: int64, each of shape (n,).
    """
    found = hash_int8(at)
    for part in parts:
        found = hash_int8(hash_int8(found ^ part) ^ (part >> 32))
    return found


def hash_int8(values: np.ndarray) -> np.ndarray:
    """PostgreSQL's `hashint8`, int64 in the range of int32, shape (n,).

    Source: `hashint8` in access/hash/hashfunc.c and `hash_bytes_uint32` in common/hashfn.c. The
    hash is the same in every version, since hash indexes on disk depend on it.
    """
    # Of a negative number, the upper half counts with every bit inverted.
    high: np.ndarray = (values >> 32) ^ (values >> 63)
    a: np.ndarray = (values ^ high).astype(np.uint32)
    a += np.uint32(HASH_SEED)
    b = np.full_like(a, HASH_SEED)
    c = b.copy()
    for x, y, turn in ((c, b, 14), (a, c, 11), (b, a, 25), (c, b, 16), (a, c, 4), (b, a, 14)):
        _final(x, y, turn)
    _final(c, b, 24)
    return c.view(np.int32).astype(np.int64)


def _final(x: np.ndarray, y: np.ndarray, turn: int) -> None:
    x ^= y
    x -= (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
