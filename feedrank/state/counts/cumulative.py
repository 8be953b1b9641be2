"""Cumulative counts, carried from step to step, so that no step sums all of the past again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from sys import maxsize

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally, smallest_uint

# Kept states that others start from, 1.2 MB each at full size; fewer save memory, more save time:
# with steps of ten minutes, a moment adds 540 steps to a checkpoint at most.
CHECKPOINTS = 24
# After the end of a log that is followed: also kept every so many steps, and so many of these.
# Likes come up to hours after their impression, so that the last few steps are those that change.
FOLLOWED_APART, FOLLOWED_KEPT = 8, 2
# With half of the keys in a step, its counts are spread over all keys first: arrays are added
# faster than cells are picked (all of 91,000 keys: 1.7 ms, not 2.8; a quarter: 1.2, not .7).
DENSE = 0.5
NOT_FOLLOWED = maxsize  # a step that no log reaches


@dataclass(frozen=True)
class CountsAsOf:
    """Counts as of a step.

    Attributes:
        step: rows of this step or later do not count.
        counts: of everything before, whole numbers, shape (n_keys,).
        recent: impressions and likes of each column, losing half their weight each half-life,
            float64, shape (n_half_lives, 2, n_columns).
        weighed_at: step that `recent` is as of, after the last one that holds rows.
    """

    step: int
    counts: Tally
    recent: np.ndarray
    weighed_at: int

    def with_columns(self, n_rows: int, n_columns: int) -> CountsAsOf:
        """The same counts by keys (row, column), where columns were added at the end."""
        recent = np.zeros((*self.recent.shape[:2], n_columns))
        recent[:, :, : self.recent.shape[2]] = self.recent
        counts = self.counts.with_columns(n_rows, n_columns)
        return CountsAsOf(self.step, counts, recent, self.weighed_at)

    def narrow(self) -> CountsAsOf:
        """The same counts in the smallest type that holds them."""
        counts = self.counts.astype(smallest_uint(int(self.counts.shown.max(initial=0))))
        return CountsAsOf(self.step, counts, self.recent, self.weighed_at)


class RunningCounts:
    """Counts as of any step, added up from the nearest earlier checkpoint.

    Every step is reached by the same additions from the first step on, whichever checkpoint they
    start from, so that the recent counts have the same bits in any order of requests. Steps
    without a row cost nothing.

    Args:
        by_step: the counts of each step, key (row, column).
        n_columns: of the keys.
        half_lives: of the recent counts, in steps.
    """

    def __init__(self, by_step: StepCounts, n_columns: int, *half_lives: float) -> None:
        self._by_step, self._n_columns = by_step, n_columns
        self._decays = 0.5 ** (1 / np.array(half_lives, np.float64))[:, None, None]
        self._apart = -(-max(by_step.n_steps, 1) // CHECKPOINTS)
        zeros = Tally(*np.zeros((2, by_step.n_keys), np.int64))
        self._last = CountsAsOf(0, zeros, np.zeros((len(half_lives), 2, n_columns)), 0)
        self._checkpoints: dict[int, CountsAsOf] = {0: self._last.narrow()}
        self._end_of_log = NOT_FOLLOWED

    def followed_by(self, by_step: StepCounts, since: int, n_rows: int, log: int) -> RunningCounts:
        """The same after rows of the steps from `since` on: earlier checkpoints are carried over.

        Args:
            by_step: all counts, whose keys (row, column) may have new columns at the end.
            since: first step that has changed.
            n_rows: of the keys.
            log: steps of the log that is followed.
        """
        n_columns = by_step.n_keys // n_rows
        new = RunningCounts(by_step, n_columns)
        new._decays, new._apart, new._end_of_log = self._decays, self._apart, log
        kept = sorted(list(self._checkpoints.values()), key=lambda c: c.step)
        kept = [c for c in kept if c.step <= since]
        passing = [c for c in kept if not new._stays(c.step)][-FOLLOWED_KEPT:]
        kept = [c for c in kept if new._stays(c.step)] + passing
        kept.append(self._last if self._last.step <= since else kept[-1])
        if n_columns != self._n_columns:
            kept = [c.with_columns(n_rows, n_columns) for c in kept]
        new._last = kept.pop()
        new._checkpoints = {c.step: c for c in kept}
        return new

    def before(self, step: int) -> CountsAsOf:
        """Counts of the steps [0, step)."""
        found = self._nearest(step)
        occupied = self._by_step.occupied(found.step, step)
        for stop in self._stops(found.step, step, occupied):
            found = self._advanced(found, stop, occupied)
            self._checkpoints[stop] = found.narrow()
        self._last = found = self._advanced(found, step, occupied)
        if found.weighed_at == step or not len(found.recent):
            return found
        weighed = found.recent * self._decays ** (step - found.weighed_at)
        return replace(found, recent=weighed, weighed_at=step)

    def _stops(self, since: int, step: int, occupied: np.ndarray) -> list[int]:
        """Checkpoints on the way: none of a stretch without rows, since it costs nothing."""
        stops = {*((occupied // self._apart + 1) * self._apart).tolist()}
        if self._end_of_log <= step:
            first = max(self._end_of_log, step - FOLLOWED_KEPT * FOLLOWED_APART) + 1
            first = -(-first // FOLLOWED_APART) * FOLLOWED_APART
            stops |= {self._end_of_log - 1, *range(first, step + 1, FOLLOWED_APART)}
        return sorted(stop for stop in stops if since < stop <= step)

    def _stays(self, step: int) -> bool:
        """Whether a checkpoint is kept while a log is followed, and not only the latest few."""
        return step % self._apart == 0 or step == self._end_of_log - 1

    def _nearest(self, step: int) -> CountsAsOf:
        # Threads of the service share this object: read `_last` once, and a copy of the rest.
        kept = [self._last, *list(self._checkpoints.values())]
        return max((c for c in kept if c.step <= step), key=lambda c: c.step)

    def _advanced(self, start: CountsAsOf, end: int, occupied: np.ndarray) -> CountsAsOf:
        """Counts as of a later step, given the steps between that hold rows."""
        counts, recent, at = start.counts.astype(np.int64), start.recent.copy(), start.weighed_at
        first, last = np.searchsorted(occupied, [start.step, end])
        for number in occupied[first:last].tolist():
            added = self._add(number, counts)
            if len(recent):
                recent *= self._decays ** (number + 1 - at)
                recent += added
            at = number + 1
        return CountsAsOf(end, counts, recent, at)

    def _add(self, step: int, counts: Tally) -> np.ndarray:
        """Add one step in place; a step holds each key at most once. Its sums by column."""
        key, shown, liked = self._by_step.at(step)
        if len(key) > DENSE * len(counts.shown):
            spread = np.zeros((2, len(counts.shown)), np.int64)
            spread[:, key] = shown, liked
            counts.shown[:] += spread[0]
            counts.liked[:] += spread[1]
            return spread.reshape(2, -1, self._n_columns).sum(1)
        counts.shown[key] += shown
        counts.liked[key] += liked
        column = key % self._n_columns
        return np.stack([np.bincount(column, w, self._n_columns) for w in (shown, liked)])
