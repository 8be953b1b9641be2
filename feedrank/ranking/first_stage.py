"""First stage: a linear model of log ratios, which generates candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.features.spec import RATIO, Feature
from feedrank.stats.logistic import fit_logistic

FITTED_ROWS = 1_000_000  # at most, evenly spread: bounds memory to some 130 MB
# Prior standard deviation of a weight around 1; other values: docs/ranking.md, "Constants".
WEIGHT_SPREAD = 0.3
BIAS_PRECISION = 1e-6  # as good as no prior


@dataclass(frozen=True)
class FirstStage:
    """Log-odds of a like as a weighted sum of the linear features.

    Attributes:
        columns: of the matrix, in order.
        weights: one a column.
        bias: added.
    """

    columns: tuple[int, ...]
    weights: tuple[float, ...]
    bias: float

    def __call__(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds, float32, shape (n,), from all features; added up in one order everywhere."""
        return self.of_linear(matrix[:, list(self.columns)])

    def of_linear(self, linear: np.ndarray) -> np.ndarray:
        """Log-odds from the linear features alone, shape (n, len(columns))."""
        total = np.full(len(linear), self.bias)
        for column, weight in enumerate(self.weights):
            total += weight * linear[:, column].astype(np.float64)
        return total.astype(np.float32)

    @classmethod
    def fit(cls, matrix: np.ndarray, liked: np.ndarray, features: Sequence[Feature]) -> FirstStage:
        """Logistic regression on the linear features, with a Gaussian prior of weights around 1.

        Each feature is a posterior log ratio or log-odds, whose weight would be 1 if features were
        independent and calibrated. Rows correct redundant ones; one that hardly varies keeps 1.
        """
        columns = tuple(i for i, f in enumerate(features) if f.weight == RATIO)
        thin = slice(None, None, max(1, len(liked) // FITTED_ROWS))
        rows = np.ones((len(liked[thin]), len(columns) + 1))
        rows[:, :-1] = matrix[thin][:, list(columns)]
        mean = np.array([*[1.0] * len(columns), 0.0])
        precision = np.array([*[WEIGHT_SPREAD**-2] * len(columns), BIAS_PRECISION])
        weights = fit_logistic(rows, liked[thin], mean, precision).weights
        return cls(columns, tuple(weights[:-1].tolist()), float(weights[-1]))
