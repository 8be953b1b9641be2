"""First stage: a linear model on log ratios, which generates candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.features.spec import Feature
from feedrank.stats.logistic import fit_logistic

LINEAR_ROWS = 1_000_000
WEIGHT_SPREAD = 0.3  # of a first-score weight around 1


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
        """Logistic regression on the linear features, whose weights are drawn to 1.

        Each is a posterior log ratio or log-odds, so it counts once unless the rows say otherwise:
        two that tell the same are found to, and one that hardly varies keeps its weight.
        """
        columns = tuple(i for i, f in enumerate(features) if f.is_linear)
        thin = slice(None, None, max(1, len(liked) // LINEAR_ROWS))
        rows = np.ones((len(liked[thin]), len(columns) + 1))
        rows[:, :-1] = matrix[thin][:, list(columns)]
        usual = np.array([*[1.0] * len(columns), 0.0])
        precision = np.array([*[WEIGHT_SPREAD**-2] * len(columns), 1e-6])
        weights = fit_logistic(rows, liked[thin], usual, precision).weights
        return cls(columns, tuple(weights[:-1].tolist()), float(weights[-1]))
