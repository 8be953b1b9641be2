"""Tally: impressions and likes by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

# Key, impressions and likes: keys ascending, each once.
Cells = Tuple[np.ndarray, np.ndarray, np.ndarray]
FEW = 0.1  # rows a cell, below which cells are added to one by one; from .05 to .3 within a tenth


@dataclass(frozen=True)
class Tally:
    """Impressions and likes by key.

    Attributes:
        shown: impressions, shape (n_keys,).
        liked: likes among them, shape (n_keys,).
    """

    shown: np.ndarray
    liked: np.ndarray

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.shown + other.shown, self.liked + other.liked)

    def __getitem__(self, keys: np.ndarray | slice) -> Tally:
        return Tally(self.shown[keys], self.liked[keys])

    def add(self, key: np.ndarray, liked: np.ndarray) -> None:
        """Add rows in place."""
        liked_key = key[liked.astype(bool)]
        for total, cells in ((self.shown, key), (self.liked, liked_key)):
            if len(cells) < FEW * len(total):
                np.add.at(total, cells, 1)
            else:
                total += np.bincount(cells, minlength=len(total))

    def copy(self) -> Tally:
        """The same counts in arrays of their own."""
        return Tally(self.shown.copy(), self.liked.copy())

    def astype(self, kind: type | np.dtype) -> Tally:
        """The same counts as another type, in arrays of their own."""
        return Tally(self.shown.astype(kind), self.liked.astype(kind))

    def columns(self, which: np.ndarray | slice) -> Tally:
        """Some columns of counts by (row, column), laid row by row as all of them are."""
        return Tally(*(np.ascontiguousarray(w[:, which]) for w in (self.shown, self.liked)))

    def cells(self) -> Cells:
        """The keys that were shown, with their counts."""
        key = np.flatnonzero(self.shown)
        return key, self.shown[key], self.liked[key]

    def reshape(self, *shape: int) -> Tally:
        """The same counts by the parts of their key."""
        return Tally(self.shown.reshape(shape), self.liked.reshape(shape))

    def merged(self, n_rows: int) -> Tally:
        """Counts by (row, column) with rows summed in runs of equal length, `n_rows` in all."""
        if len(self.shown) == n_rows:
            return self
        n_columns = self.shown.shape[1]
        return Tally(*(c.reshape(n_rows, -1, n_columns).sum(1) for c in (self.shown, self.liked)))

    def with_columns(self, n_rows: int, n_columns: int) -> Tally:
        """The same counts by keys (row, column), where columns were added at the end."""
        wide = np.zeros((2, n_rows, n_columns), self.shown.dtype)
        for new, old in zip(wide, (self.shown, self.liked)):
            new[:, : len(old) // n_rows] = old.reshape(n_rows, -1)
        return Tally(*wide.reshape(2, -1))


def add_values(total: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
    """Add values to the cells of a total, in place; cells may be several rows, values one for all.

    Where values are to be repeated, `np.add.at` of numpy 2.4 adds what lies behind them in memory.
    """
    cells, values = cells.ravel(), np.broadcast_to(values, cells.shape).ravel()
    if len(cells) < FEW * len(total):
        np.add.at(total, cells, values)
    else:
        total += np.bincount(cells, values, len(total))


def tally(key: np.ndarray, liked: np.ndarray, n_keys: int) -> Tally:
    """Impressions and likes by key: additive, so any split and order of rows gives the same."""
    return Tally(
        np.bincount(key, minlength=n_keys),
        np.bincount(key[liked.astype(bool)], minlength=n_keys),
    )


def cells_of(key: np.ndarray, liked: np.ndarray, n_keys: int) -> Cells:
    """As `tally`, of the keys that occur: where rows are few, a fourth of the time."""
    if len(key) > FEW * n_keys:
        return tally(key, liked, n_keys).cells()
    found, of = np.unique(key, return_inverse=True)
    counts = tally(of, liked, len(found))
    return found, counts.shown, counts.liked


def sum_of_cells(parts: Sequence[Cells], n_keys: int) -> Cells:
    """The sum of counts of disjoint rows."""
    key, shown, liked = (np.concatenate(column) for column in zip(*parts))
    if len(key) > FEW * n_keys:
        return Tally(*(_sum(key, count, n_keys) for count in (shown, liked))).cells()
    found, of = np.unique(key, return_inverse=True)
    return found, _sum(of, shown, len(found)), _sum(of, liked, len(found))


def _sum(key: np.ndarray, weight: np.ndarray, n_keys: int) -> np.ndarray:
    return np.bincount(key, weight, n_keys).astype(np.int64)


def smallest_uint(highest: int) -> np.dtype:
    """The narrowest unsigned type that holds 0 to `highest`."""
    return np.dtype(np.min_scalar_type(max(highest, 0)))


def ordered_sum(rows: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Sum over the first axis in one order, whatever the length of the other: equal bits."""
    total = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total
