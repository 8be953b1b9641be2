"""Tally: impressions and likes by key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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

    def copy(self) -> Tally:
        """The same counts in arrays of their own."""
        return Tally(self.shown.copy(), self.liked.copy())

    def reshape(self, *shape: int) -> Tally:
        """The same counts by the parts of their key."""
        return Tally(self.shown.reshape(shape), self.liked.reshape(shape))

    def with_columns(self, n_rows: int, n_columns: int) -> Tally:
        """The same counts by keys (row, column), where columns were added at the end."""
        wide = np.zeros((2, n_rows, n_columns), self.shown.dtype)
        for new, old in zip(wide, (self.shown, self.liked)):
            new[:, : len(old) // n_rows] = old.reshape(n_rows, -1)
        return Tally(*wide.reshape(2, -1))


def tally(key: np.ndarray, liked: np.ndarray, n_keys: int) -> Tally:
    """Impressions and likes by key: additive, so any split and order of rows gives the same."""
    return Tally(
        np.bincount(key, minlength=n_keys),
        np.bincount(key[liked.astype(bool)], minlength=n_keys),
    )


def smallest_uint(highest: int) -> np.dtype:
    """The narrowest unsigned type that holds 0 to `highest`."""
    return np.dtype(np.min_scalar_type(max(highest, 0)))
