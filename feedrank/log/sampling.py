"""Hash sampling: a uniform number per impression or request, from its own values alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feedrank.log.impressions import Impressions


def hash_uniform(rows: Impressions, seed: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float64, shape (n,); the same for equal (user, post, at)."""
    return uniform_of((rows.user, rows.post, rows.at), seed)


def uniform_of(columns: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float64, shape (n,), from rows of whole numbers."""
    hashed = np.full(len(columns[0]), seed % 2**64, dtype=np.uint64)
    for column in columns:
        hashed = _mixed(hashed + column.astype(np.uint64))
    return (hashed >> np.uint64(11)) * 2.0**-53


def lowest(draws: np.ndarray, n: int) -> np.ndarray:
    """Mask of the `n` lowest draws and those equal to the n-th; all if there are at most `n`.

    The lowest of all are among the lowest of each bucket, so a sample can be drawn in parts.
    """
    if len(draws) <= n:
        return np.ones(len(draws), dtype=bool)
    return np.asarray(draws <= np.partition(draws, n - 1)[n - 1])


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Splitmix64 (Steele, Lea, Flood 2014): each input bit changes about half of the output's."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
