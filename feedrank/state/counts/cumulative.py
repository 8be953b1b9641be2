"""Cumulative counts, carried from step to step, so that no step sums all of the past again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally

# Kept states that others start from, 2.7 MB each at full size; fewer save memory, more save time.
CHECKPOINTS = 4


@dataclass(frozen=True)
class CountsAsOf:
    """Counts as of a step.

    Attributes:
        step: rows of this step or later do not count.
        counts: of everything before, int64, shape (n_keys,).
        recent: the same losing half its weight every half-life, float64, shape (n_keys,).
    """

    step: int
    counts: Tally
    recent: Tally


class RunningCounts:
    """Counts as of any step, added up from the nearest earlier checkpoint.

    Every step is reached by the same additions from the first step on, whichever checkpoint they
    start from, so that the recent counts have the same bits in any order of requests.

    Args:
        by_step: the counts of each step.
        half_life: of the recent counts, in steps.
    """

    def __init__(self, by_step: StepCounts, half_life: float) -> None:
        self._by_step = by_step
        self._decay = 0.5 ** (1 / half_life)
        self._apart = -(-max(by_step.n_steps, 1) // CHECKPOINTS)
        zeros, none = (np.zeros((2, by_step.n_keys), kind) for kind in (np.int64, np.float64))
        self._last = CountsAsOf(0, Tally(*zeros), Tally(*none))
        self._checkpoints = {0: self._last}

    def before(self, step: int) -> CountsAsOf:
        """Counts of the steps [0, step)."""
        start = self._nearest(step)
        counts, recent = start.counts.copy(), start.recent.copy()
        for number in range(start.step, step):
            self._add(number, counts, recent)
            if (number + 1) % self._apart == 0:
                checkpoint = CountsAsOf(number + 1, counts.copy(), recent.copy())
                self._checkpoints[number + 1] = checkpoint
        self._last = CountsAsOf(step, counts, recent)
        return self._last

    def _nearest(self, step: int) -> CountsAsOf:
        # Threads of the service share this object: read `_last` once, and a copy of the rest.
        kept = [self._last, *list(self._checkpoints.values())]
        return max((c for c in kept if c.step <= step), key=lambda c: c.step)

    def _add(self, step: int, counts: Tally, recent: Tally) -> None:
        """Add one step in place; a step holds each key at most once."""
        key, *new = self._by_step.at(step)
        for total, old, added in zip(
            (counts.shown, counts.liked), (recent.shown, recent.liked), new
        ):
            total[key] += added
            old *= self._decay
            old[key] += added
