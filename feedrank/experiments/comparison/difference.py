"""Difference of two runs in one hit rate: numbers, words, and whether a build is refused."""

from __future__ import annotations

from dataclasses import dataclass

from feedrank.stats.decisions import EQUAL
from feedrank.stats.intervals import Estimate
from feedrank.validation.results.leads import decision_by


@dataclass(frozen=True)
class Difference:
    """One hit rate of two runs.

    Attributes:
        kind: such as 'expected@5'.
        a: of run A.
        b: of run B.
        gain: B less A, with the paired interval; without one where too few requests, or
            those of too few users, have a value in both.
        is_same: whether each request has the same value in both.
        is_void: whether this hit rate counts for nothing in a run.
    """

    kind: str
    a: Estimate
    b: Estimate
    gain: Estimate
    is_same: bool
    is_void: bool = False

    def words(self, tolerance: float = EQUAL) -> str:
        """Which run is better, that both are equal, or what it would take to tell."""
        if self.is_void:
            return "void: a run warns of it"
        if not self.gain.n_requests:
            return "without a value in both runs"
        if self.is_same and self.gain.has_interval:
            return "the same in every request"
        if self.gain.low > 0:
            return f"B beats A by {self.gain.value:.4f}"
        if self.gain.high < 0:
            return f"A beats B by {-self.gain.value:.4f}"
        gain = self.gain
        return decision_by(self.kind, gain.value, gain.low, gain.high, tolerance)

    def line(self, tolerance: float = EQUAL) -> str:
        """Numbers and words; of a void hit rate words alone."""
        name = f"{'hitrate@' + self.kind.split('@')[1] + '/' + self.kind.split('@')[0]:22}"
        if self.is_void or not self.gain.n_requests:
            return name + self.words(tolerance)
        return name + (
            f"A {self.a.value:.4f}  B {self.b.value:.4f}  B - A {self.gain.words('+.4f')}  "
            f"{self.words(tolerance)}"
        )


def is_refused(difference: Difference, tolerance: float, when: str) -> bool:
    """Whether a build should refuse run B; never without an interval.

    Args:
        difference: of the hit rate that decides.
        tolerance: a loss that does not matter, 0 or more.
        when: 'worse': the whole interval lies below minus the tolerance; 'doubtful': some of it
            does.
    """
    bound = difference.gain.high if when == "worse" else difference.gain.low
    return bool(bound < -tolerance)
