"""Counts by step: sparse impressions and likes, from which counts as of any step are summed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.io.arrays import Place, read_array, write_array
from feedrank.state.counts.tally import Cells, Tally, smallest_uint, sum_of_cells

PIECE = 1 << 20  # cells; 20 MB as numbers of eight bytes
COLUMNS = ("offsets", "key", "shown", "liked")


@dataclass(frozen=True)
class StepCounts:
    """Counts by step and key, sparse, in the order (step, key).

    Attributes:
        n_keys: number of keys.
        offsets: where each step begins, int64, shape (n_steps + 1,).
        key: uint32, shape (n,).
        shown: uint8 to uint32, as the highest count needs, shape (n,).
        liked: the same.
    """

    n_keys: int
    offsets: np.ndarray
    key: np.ndarray
    shown: np.ndarray
    liked: np.ndarray

    @property
    def n_steps(self) -> int:
        """Steps from the log's origin to its end."""
        return len(self.offsets) - 1

    @classmethod
    def of(cls, steps: Iterable[Cells], n_keys: int) -> StepCounts:
        """Counts from the cells of each step."""
        offsets, keys, shown, liked = [0], [], [], []
        for key, n_shown, n_liked in steps:
            keys.append(key.astype(np.uint32))
            shown.append(_narrow(n_shown))
            liked.append(_narrow(n_liked))
            offsets.append(offsets[-1] + len(key))
        columns = (np.concatenate([*c, np.empty(0, np.uint8)]) for c in (keys, shown, liked))
        return cls(n_keys, np.array(offsets, dtype=np.int64), *columns)

    @classmethod
    def merged(cls, parts: Sequence[StepCounts]) -> StepCounts:
        """The sum of counts of disjoint rows."""
        n_keys, n_steps = parts[0].n_keys, parts[0].n_steps

        def total(step: int) -> Cells:
            return sum_of_cells([p.at(step) for p in parts], n_keys)

        return cls.of(map(total, range(n_steps)), n_keys)

    def occupied(self, since: int, until: int) -> np.ndarray:
        """The steps in [since, until) that hold rows, ascending."""
        return since + np.flatnonzero(np.diff(self.offsets[since : until + 1]))

    def at(self, step: int) -> Cells:
        """Cells of one step."""
        rows = slice(int(self.offsets[step]), int(self.offsets[step + 1]))
        return self.key[rows], self.shown[rows], self.liked[rows]

    def before(self, step: int, since: int = 0) -> Tally:
        """Counts of the steps [since, step), int64, shape (n_keys,)."""
        total = Tally(*np.zeros((2, self.n_keys), np.int64))
        for rows in self._pieces(since, step):
            for of_all, counted in ((total.shown, self.shown), (total.liked, self.liked)):
                weights = counted[rows]
                of_all += np.bincount(self.key[rows], weights, self.n_keys).astype(np.int64)
        return total

    def first_steps(self) -> np.ndarray:
        """The step at which each key was first counted; `n_steps` if never. Shape (n_keys,)."""
        first = np.full(self.n_keys, self.n_steps, dtype=np.int64)
        for rows in self._pieces(0, self.n_steps)[::-1]:
            row = np.arange(rows.stop - 1, rows.start - 1, -1)  # of several, the last one stays
            first[self.key[rows][::-1]] = np.searchsorted(self.offsets, row, "right") - 1
        return first

    def _pieces(self, since: int, until: int) -> list[slice]:
        """The cells of the steps [since, until), of which no more than `PIECE` are read at once."""
        first, last = int(self.offsets[since]), int(self.offsets[until])
        return [slice(low, min(low + PIECE, last)) for low in range(first, last, PIECE)]

    def save(self, directory: Path, name: str) -> None:
        """Write `<name>_{offsets,key,shown,liked}.npy`."""
        for column in COLUMNS:
            write_array(directory / f"{name}_{column}.npy", getattr(self, column))

    @classmethod
    def load(cls, place: Place, name: str, n_keys: int) -> StepCounts:
        """Counts that `save` wrote."""
        return cls(n_keys, *(read_array(place / f"{name}_{c}.npy") for c in COLUMNS))


def _narrow(counts: np.ndarray) -> np.ndarray:
    return counts.astype(smallest_uint(int(counts.max(initial=0))))
