"""Counts by step: sparse impressions and likes, from which counts as of any step are summed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.io.arrays import Place, read_array
from feedrank.state.counts.tally import Tally, smallest_uint

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
    def of(cls, tallies: Iterable[Tally], n_keys: int) -> StepCounts:
        """Counts from one dense tally a step."""
        offsets, keys, shown, liked = [0], [], [], []
        for step in tallies:
            key = np.flatnonzero(step.shown)
            keys.append(key.astype(np.uint32))
            shown.append(_narrow(step.shown[key]))
            liked.append(_narrow(step.liked[key]))
            offsets.append(offsets[-1] + len(key))
        columns = (np.concatenate([*c, np.empty(0, np.uint8)]) for c in (keys, shown, liked))
        return cls(n_keys, np.array(offsets, dtype=np.int64), *columns)

    @classmethod
    def merged(cls, parts: Sequence[StepCounts]) -> StepCounts:
        """The sum of counts of disjoint rows."""
        n_keys, n_steps = parts[0].n_keys, parts[0].n_steps

        def total(step: int) -> Tally:
            key, shown, liked = (np.concatenate(c) for c in zip(*(p.at(step) for p in parts)))
            return Tally(*(_sum(key, w, n_keys) for w in (shown, liked)))

        return cls.of(map(total, range(n_steps)), n_keys)

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key, shown and liked of one step."""
        rows = slice(int(self.offsets[step]), int(self.offsets[step + 1]))
        return self.key[rows], self.shown[rows], self.liked[rows]

    def before(self, step: int, since: int = 0) -> Tally:
        """Counts of the steps [since, step), int64, shape (n_keys,)."""
        rows = slice(int(self.offsets[since]), int(self.offsets[step]))
        key = self.key[rows]
        return Tally(*(_sum(key, w[rows], self.n_keys) for w in (self.shown, self.liked)))

    def first_steps(self) -> np.ndarray:
        """The step at which each key was first counted; `n_steps` if never. Shape (n_keys,)."""
        first = np.full(self.n_keys, self.n_steps, dtype=np.int64)
        step = np.repeat(np.arange(self.n_steps), np.diff(self.offsets))
        np.minimum.at(first, self.key, step)
        return first

    def save(self, directory: Path, name: str) -> None:
        """Write `<name>_{offsets,key,shown,liked}.npy`."""
        for column in COLUMNS:
            np.save(directory / f"{name}_{column}.npy", getattr(self, column))

    @classmethod
    def load(cls, place: Place, name: str, n_keys: int) -> StepCounts:
        """Counts that `save` wrote."""
        return cls(n_keys, *(read_array(place / f"{name}_{c}.npy") for c in COLUMNS))


def _sum(key: np.ndarray, weight: np.ndarray, n_keys: int) -> np.ndarray:
    return np.bincount(key, weights=weight, minlength=n_keys).astype(np.int64)


def _narrow(counts: np.ndarray) -> np.ndarray:
    return counts.astype(smallest_uint(int(counts.max(initial=0))))
