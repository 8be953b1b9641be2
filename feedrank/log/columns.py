"""Columns: rows in memory as arrays of one length, the base of tables of the log and of replays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

C = TypeVar("C", bound="Columns")


class Columns:
    """Base of a dataclass whose fields are arrays of shape (n,), a row in each."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def __getitem__(self: C, rows: slice | np.ndarray) -> C:
        return type(self)(*(column[rows] for column in vars(self).values()))

    def copy(self: C) -> C:
        """The same rows in arrays of their own."""
        return type(self)(*(column.copy() for column in vars(self).values()))

    @classmethod
    def joined(cls: type[C], parts: Iterable[C]) -> C:
        """Rows of several parts, of one at least, one after another."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))
