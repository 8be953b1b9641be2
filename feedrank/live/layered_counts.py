"""Layered counts: counts by step of an artifact's log, with those of later rows on top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from feedrank.live.delta_rows import Changes
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally

Sparse = tuple[np.ndarray, np.ndarray, np.ndarray]
NEVER = np.iinfo(np.int64).max  # a step


@dataclass(frozen=True)
class LayeredCounts(StepCounts):
    """Counts of a log and of later rows; a step holds what all of its rows together give.

    Keys are (row, column); columns may be added at the end, as posts are.

    Attributes:
        n_rows: of the keys.
        n_log_columns: of the keys of the log.
        end: steps to the last row of all.
        total: of the whole log, int64, shape (n_keys,).
        first: the step at which each key was first counted, or `NEVER`, int64, shape (n_keys,).
        later: key, impressions and likes (int64, int32, int32) of later rows, by step.
    """

    n_rows: int
    n_log_columns: int
    end: int
    total: Tally
    first: np.ndarray
    later: Mapping[int, Sparse] = field(default_factory=dict)

    @classmethod
    def over(cls, log: StepCounts, n_rows: int) -> LayeredCounts:
        """The counts of a log, without any later row."""
        first, total = log.first_steps(), log.before(log.n_steps)
        first[first == log.n_steps] = NEVER
        return cls(**vars(log), n_rows=n_rows, n_log_columns=log.n_keys // n_rows, end=log.n_steps,
                   total=total, first=first)  # fmt: skip

    @property
    def n_columns(self) -> int:
        """Columns of the keys."""
        return self.n_keys // self.n_rows

    @property
    def n_log_steps(self) -> int:
        """Steps of the log alone."""
        return len(self.offsets) - 1

    @property
    def n_steps(self) -> int:
        """Steps from the log's origin to the last row of all."""
        return self.end

    def occupied(self, since: int, until: int) -> np.ndarray:
        """The steps in [since, until) that hold rows, ascending."""
        of_log = super().occupied(since, min(until, self.n_log_steps))
        return np.union1d(of_log, [s for s in self.later if since <= s < until]).astype(np.int64)

    def at(self, step: int) -> Sparse:
        """Key, shown and liked of one step; each key once."""
        later = self.later.get(step)
        if step >= self.n_log_steps:
            return later or (np.zeros(0, np.int64),) * 3
        key, shown, liked = super().at(step)
        if self.n_columns != self.n_log_columns:
            key = _moved(key, self.n_log_columns, self.n_columns)
        return (key, shown, liked) if later is None else _sum((key, shown, liked), later)

    def before(self, step: int, since: int = 0) -> Tally:
        """Counts of the steps [since, step), int64, shape (n_keys,)."""
        if since == 0 and step >= self.n_log_steps:
            total = self.total.copy()
        else:
            of_log = super().before(*(min(s, self.n_log_steps) for s in (step, since)))
            of_log = of_log[: self.n_rows * self.n_log_columns]
            total = of_log.with_columns(self.n_rows, self.n_columns)
        for number, (key, shown, liked) in self.later.items():
            if since <= number < step:
                total.shown[key] += shown
                total.liked[key] += liked
        return total

    def first_steps(self) -> np.ndarray:
        """The step at which each key was first counted, or `NEVER`, shape (n_keys,)."""
        return self.first

    def with_columns_added(self, n_columns: int) -> LayeredCounts:
        """The same counts by keys with more columns."""
        first = np.full((self.n_rows, n_columns), NEVER)
        first[:, : self.n_columns] = self.first.reshape(self.n_rows, -1)
        later = {
            step: (_moved(key, self.n_columns, n_columns), shown, liked)
            for step, (key, shown, liked) in self.later.items()
        }
        total = self.total.with_columns(self.n_rows, n_columns)
        n_keys = self.n_rows * n_columns
        return replace(self, n_keys=n_keys, total=total, first=first.ravel(), later=later)

    def with_rows(self, step: np.ndarray, key: np.ndarray, changes: Changes) -> LayeredCounts:
        """With changed rows, each of a step and a key."""
        later, first = dict(self.later), self.first.copy()
        for number, rows in _by_step(step):
            new = _sum((key[rows], changes.shown[rows], changes.liked[rows]))
            later[number] = _with(later[number], new) if number in later else new
        np.minimum.at(first, key, step)
        end = max(self.end, int(step.max(initial=-1)) + 1)
        return replace(self, later=later, first=first, end=end)


def _by_step(step: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each step that occurs, and its rows."""
    if not len(step):
        return iter(())
    order = np.argsort(step, kind="stable")
    found, first = np.unique(step[order], return_index=True)
    return zip(found.tolist(), np.split(order, first[1:]), strict=True)


def _moved(key: np.ndarray, n_columns: int, n_more: int) -> np.ndarray:
    """Keys (row, column) for a larger number of columns."""
    row, column = np.divmod(key.astype(np.int64), n_columns)
    return row * n_more + column


def _with(counts: Sparse, more: Sparse) -> Sparse:
    """The sum of counts by key, where few are added to many."""
    key, shown, liked = counts
    place = np.searchsorted(key, more[0])
    is_there = key[np.minimum(place, len(key) - 1)] == more[0]
    shown, liked = shown.copy(), liked.copy()
    shown[place[is_there]] += more[1][is_there]
    liked[place[is_there]] += more[2][is_there]
    place = place[~is_there]
    pairs = zip((key, shown, liked), more, strict=True)
    key, shown, liked = (np.insert(old, place, new[~is_there]) for old, new in pairs)
    return key, shown, liked


def _sum(*parts: Sparse) -> Sparse:
    """Counts by key, ascending, each key once."""
    key, shown, liked = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    key, of = np.unique(key.astype(np.int64), return_inverse=True)
    shown, liked = (np.bincount(of, w, len(key)).astype(np.int32) for w in (shown, liked))
    return key, shown, liked
