"""A number drawn for each impression from what it is: samples are the same in any buckets."""

from __future__ import annotations

import numpy as np

from feedrank.log.impressions import Impressions


def hash_uniform(rows: Impressions, seed: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float64, shape (n,); the same for equal (user, post, at)."""
    lot = np.full(len(rows), seed % 2**64, dtype=np.uint64)
    for column in (rows.user, rows.post, rows.at):
        lot = _mixed(lot + column.astype(np.uint64))
    return (lot >> np.uint64(11)) * 2.0**-53


def lowest(draws: np.ndarray, n: int) -> np.ndarray:
    """Mask of the `n` lowest draws, or all; draws that equal the last of them are in as well.

    The lowest of all are among the lowest of each bucket, so a sample can be drawn in parts.
    """
    if len(draws) <= n:
        return np.ones(len(draws), dtype=bool)
    return np.asarray(draws <= np.partition(draws, n - 1)[n - 1])


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Splitmix64 (Steele, Lea, Flood 2014): every bit in changes about half of the bits out."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
