"""Excess of a test statistic over its expectation under a random feed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Excess:
    """Sums over impressions, held against random draws of posts by the segment's shares.

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
        return Excess(
            self.beyond + other.beyond,
            self.expected + other.expected,
            self.variance + other.variance,
            self.n + other.n,
        )

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
