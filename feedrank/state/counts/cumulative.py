"""Counts over time carried from step to step, so that no moment sums all of the past anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally

MARKS = 4  # moments that are kept for others to start from, 2.7 MB each at full size


@dataclass(frozen=True)
class CountsAsOf:
    """Counts as of a step.

    Attributes:
        step: rows of this step or later are not in them.
        counts: all that was before, int64, shape (n_keys,).
        recent: the same losing half its weight every half-life, float64, shape (n_keys,).
    """

    step: int
    counts: Tally
    recent: Tally


class RunningCounts:
    """Counts as of any step, added up from the nearest earlier moment that is kept.

    Every moment is reached by the same additions from the first step on, wherever it starts, so
    that the recent counts have the same bits whichever moments were asked for before.

    Args:
        by_step: the counts of each step.
        half_life: of the recent counts, in steps.
    """

    def __init__(self, by_step: StepCounts, half_life: float) -> None:
        self._by_step = by_step
        self._weight = 0.5 ** (1 / half_life)
        self._apart = -(-max(by_step.n_steps, 1) // MARKS)
        zeros, none = (np.zeros((2, by_step.n_keys), kind) for kind in (np.int64, np.float64))
        self._last = CountsAsOf(0, Tally(*zeros), Tally(*none))
        self._marks = {0: self._last}

    def before(self, step: int) -> CountsAsOf:
        """Counts of the steps [0, step)."""
        start = self._nearest(step)
        arrays = [a.copy() for t in (start.counts, start.recent) for a in (t.shown, t.liked)]
        for number in range(start.step, step):
            self._add(number, *arrays)
            if (number + 1) % self._apart == 0:
                self._marks[number + 1] = _moment(number + 1, [a.copy() for a in arrays])
        self._last = _moment(step, arrays)
        return self._last

    def _nearest(self, step: int) -> CountsAsOf:
        last, mark = self._last, self._marks[0]
        for number, found in list(self._marks.items()):
            if mark.step < number <= step:
                mark = found
        return last if mark.step <= last.step <= step else mark

    def _add(
        self,
        step: int,
        shown: np.ndarray,
        liked: np.ndarray,
        recent_shown: np.ndarray,
        recent_liked: np.ndarray,
    ) -> None:
        key, new_shown, new_liked = self._by_step.at(step)
        recent_shown *= self._weight
        recent_liked *= self._weight
        for total, new in (
            (shown, new_shown),
            (liked, new_liked),
            (recent_shown, new_shown),
            (recent_liked, new_liked),
        ):
            total[key] += new  # a step holds each key but once


def _moment(step: int, arrays: list[np.ndarray]) -> CountsAsOf:
    shown, liked, recent_shown, recent_liked = arrays
    return CountsAsOf(step, Tally(shown, liked), Tally(recent_shown, recent_liked))
