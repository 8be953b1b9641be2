"""PostgreSQL's `hashint8` and the checksum of rows, in numpy."""

from __future__ import annotations

import numpy as np

HASH_SEED = (0x9E3779B9 + 4 + 3923095) & 0xFFFFFFFF  # `hash_bytes_uint32`


def checksum(key: np.ndarray, at: np.ndarray) -> np.ndarray:
    """PostgreSQL's `hashint8(key # timestamp_hash(at)::int8)`, as int64, shape (n,).

    Args:
        key: of user and post, int64, shape (n,).
        at: time in microseconds, int64, shape (n,).
    """
    of_time = hash_int8(at).view(np.int32).astype(np.int64)
    return hash_int8(key ^ of_time).view(np.int32).astype(np.int64)


def hash_int8(values: np.ndarray) -> np.ndarray:
    """PostgreSQL's `hashint8` as uint32, shape (n,).

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
    return c


def _final(x: np.ndarray, y: np.ndarray, turn: int) -> None:
    x ^= y
    x -= (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
