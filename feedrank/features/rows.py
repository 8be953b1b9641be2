"""Training rows: rows of the feature matrix with their labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.log.columns import Columns

EVER = int(np.iinfo(np.uint32).max)  # seconds, which no row reaches


@dataclass(frozen=True)
class TrainingRows(Columns):
    """Rows of the feature matrix with their labels.

    Attributes:
        matrix: float32, shape (n, n_features).
        liked: uint8, shape (n,).
        at: seconds since the log's origin, uint32, shape (n,).
        user: uint32, shape (n,).
        post: uint32, shape (n,).
    """

    matrix: np.ndarray
    liked: np.ndarray
    at: np.ndarray
    user: np.ndarray
    post: np.ndarray

    def between(self, since: int, until: int) -> TrainingRows:
        """Rows of [since, until) seconds."""
        return self[np.flatnonzero((self.at >= since) & (self.at < until))]

    def sorted(self) -> TrainingRows:
        """The same rows in a total order, whatever order they came in."""
        return self[np.lexsort((self.liked, self.post, self.user, self.at))]

    def save(self, directory: Path) -> None:
        """Write one `.npy` a column."""
        for name, column in vars(self).items():
            np.save(directory / f"{name}.npy", column)

    @classmethod
    def load(cls, directory: Path) -> TrainingRows:
        """Rows that `save` wrote, memory-mapped."""
        names = cls.__dataclass_fields__
        return cls(*(np.load(directory / f"{n}.npy", mmap_mode="r") for n in names))

    @classmethod
    def batches(cls, pieces: Iterable[TrainingRows], most: int) -> Iterator[TrainingRows]:
        """The same rows in the same order, in batches of at most `most`: pieces joined or cut."""
        held: list[TrainingRows] = []
        for piece in pieces:
            for start in range(0, len(piece), most):
                some = piece[start : start + most]
                if sum(map(len, held)) + len(some) > most:
                    yield cls.joined(held)
                    held = []
                held.append(some)
        if held:
            yield cls.joined(held)
