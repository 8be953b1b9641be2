"""Excess of a test statistic over its expectation under a random feed."""

from __future__ import annotations

import operator
from dataclasses import astuple, dataclass

import numpy as np

# Standard score from which a difference is significant: a two-sided p of 6e-5, or .001 after
# Bonferroni for sixteen tests.
CERTAIN = 4.0
# Expected pairs of the same post from which their number is near normal (its skewness, 1 / sqrt(n)
# of a Poisson count, is then .22).
FEWEST_PAIRS = 20.0


@dataclass(frozen=True)
class Excess:
    """Sums over impressions, held against random draws of posts by the stratum's shares.

    Attributes:
        beyond: observed less expected.
        expected: under random draws.
        variance: of `beyond` under random draws.
        n: impressions.
    """

    beyond: float = 0.0
    expected: float = 0.0
    variance: float = 0.0
    n: int = 0

    def __add__(self, other: Excess) -> Excess:
        return Excess(*map(operator.add, astuple(self), astuple(other)))

    @property
    def is_testable(self) -> bool:
        """Whether the pairs expected, of which each counts twice, are enough for a test."""
        return self.expected >= 2 * FEWEST_PAIRS and self.variance > 0

    @property
    def z(self) -> float:
        """Standard score, of mean 0 and variance 1 under random draws; 0 without a variance."""
        return float(self.beyond / np.sqrt(self.variance)) if self.variance else 0.0

    @property
    def relative_spread(self) -> float:
        """Standard deviation of propensity around its share, over the share.

        The signed root of the relative excess: below 0 where pairs are rarer than expected.
        """
        excess = self.beyond / self.expected
        return float(np.sign(excess) * np.sqrt(abs(excess)))
