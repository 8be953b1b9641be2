"""Cumulative counts, carried from step to step, so that no step sums all of the past again."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally

# Kept states that others start from, 2.7 MB each at full size; fewer save memory, more save time.
CHECKPOINTS = 4
# After the end of a log that is followed: kept every so many steps, and so many of these. Likes
# come up to hours after their impression, so that the last few steps are those that change.
FOLLOWED_APART, FOLLOWED_KEPT = 8, 2
# With half of the keys in a step, its counts are spread over all keys first: arrays are added
# faster than cells are picked (all of 91,000 keys: 1.7 ms, not 2.8; a quarter: 1.2, not .7).
DENSE = 0.5


@dataclass(frozen=True)
class CountsAsOf:
    """Counts as of a step.

    Attributes:
        step: rows of this step or later do not count.
        counts: of everything before, int64, shape (n_keys,).
        recent: by half-life: the same losing half its weight each, float64, shape (n_keys,).
    """

    step: int
    counts: Tally
    recent: tuple[Tally, ...]

    def with_columns(self, n_rows: int, n_columns: int) -> CountsAsOf:
        """The same counts by keys (row, column), where columns were added at the end."""
        wide = (t.with_columns(n_rows, n_columns) for t in (self.counts, *self.recent))
        return CountsAsOf(self.step, next(wide), tuple(wide))


class RunningCounts:
    """Counts as of any step, added up from the nearest earlier checkpoint.

    Every step is reached by the same additions from the first step on, whichever checkpoint they
    start from, so that the recent counts have the same bits in any order of requests.

    Args:
        by_step: the counts of each step.
        half_lives: of the recent counts, in steps.
    """

    def __init__(self, by_step: StepCounts, *half_lives: float) -> None:
        self._by_step = by_step
        self._decays = [0.5 ** (1 / half_life) for half_life in half_lives]
        self._apart = -(-max(by_step.n_steps, 1) // CHECKPOINTS)
        zeros, none = (np.zeros((2, by_step.n_keys), kind) for kind in (np.int64, np.float64))
        self._last = CountsAsOf(0, Tally(*zeros), (Tally(*none),) * len(half_lives))
        self._checkpoints = {0: self._last}
        self._end_of_log: float = inf

    def followed_by(self, by_step: StepCounts, since: int, n_rows: int, log: int) -> RunningCounts:
        """The same after rows of the steps from `since` on: earlier checkpoints are carried over.

        Args:
            by_step: all counts, whose keys (row, column) may have new columns at the end.
            since: first step that has changed.
            n_rows: of the keys.
            log: steps of the log that is followed.
        """
        new = RunningCounts(by_step)
        new._decays, new._apart, new._end_of_log = self._decays, self._apart, log
        kept = sorted([*self._checkpoints.values(), self._last], key=lambda c: c.step)
        kept = [c for c in kept if c.step <= since]
        kept = [c for c in kept if c.step <= log] + [c for c in kept if c.step > log][
            -FOLLOWED_KEPT:
        ]
        if self._last.counts.shown.size != by_step.n_keys:
            kept = [c.with_columns(n_rows, by_step.n_keys // n_rows) for c in kept]
        new._checkpoints = {c.step: c for c in kept}
        new._last = kept[-1]
        return new

    def before(self, step: int) -> CountsAsOf:
        """Counts of the steps [0, step)."""
        start = self._nearest(step)
        counts, recent = start.counts.copy(), _copies(start.recent)
        for number in range(start.step, step):
            self._add(number, counts, recent)
            if self._is_checkpoint(number + 1, step):
                checkpoint = CountsAsOf(number + 1, counts.copy(), _copies(recent))
                self._checkpoints[number + 1] = checkpoint
        self._last = CountsAsOf(step, counts, recent)
        return self._last

    def _is_checkpoint(self, step: int, asked: int) -> bool:
        if step <= self._end_of_log:
            return step % self._apart == 0 or step == self._end_of_log - 1
        return step % FOLLOWED_APART == 0 and step > asked - FOLLOWED_KEPT * FOLLOWED_APART

    def _nearest(self, step: int) -> CountsAsOf:
        # Threads of the service share this object: read `_last` once, and a copy of the rest.
        kept = [self._last, *list(self._checkpoints.values())]
        return max((c for c in kept if c.step <= step), key=lambda c: c.step)

    def _add(self, step: int, counts: Tally, recent: tuple[Tally, ...]) -> None:
        """Add one step in place; a step holds each key at most once."""
        key, shown, liked = self._by_step.at(step)
        cells: np.ndarray | slice = key
        if len(key) > DENSE * len(counts.shown):
            spread = np.zeros((2, len(counts.shown)), np.int64)
            spread[:, key] = shown, liked
            cells, (shown, liked) = slice(None), spread
        for total, decay in zip((counts, *recent), (1, *self._decays)):
            for old, added in ((total.shown, shown), (total.liked, liked)):
                if decay != 1:
                    old *= decay
                old[cells] += added


def _copies(tallies: tuple[Tally, ...]) -> tuple[Tally, ...]:
    return tuple(tally.copy() for tally in tallies)
