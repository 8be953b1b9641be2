"""Logistic baseline: logistic regression on our own features, without trees or prior weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from feedrank.features.rows import TrainingRows
from feedrank.ranking.recommender import Recommender
from feedrank.validation.baselines.baseline import Baseline

# At a like rate of .1 the standard error of a weight is 1 / sqrt(300,000 * .1 * .9) = .006.
MOST_ROWS = 300_000


@dataclass(frozen=True)
class LogisticWeights:
    """A fitted regression on standardised features.

    Attributes:
        mean: of each feature, shape (n_features,); it takes the place of a missing value.
        scale: standard deviation of each feature, same shape.
        weight: of each standardised feature, same shape.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray

    @classmethod
    def fit(cls, rows: TrainingRows, seed: int) -> LogisticWeights:
        """On a random sample of rows, with scikit-learn's default penalty."""
        rng = np.random.default_rng(seed)
        sample = rows[np.sort(rng.permutation(len(rows))[:MOST_ROWS])]
        matrix = np.asarray(sample.matrix, dtype=np.float64)
        known = ~np.isnan(matrix)
        mean = np.where(known, matrix, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        filled = np.where(known, matrix, mean)
        scale = np.maximum(filled.std(0), 1e-9)  # a constant feature stays 0
        model = LogisticRegression(max_iter=300).fit((filled - mean) / scale, sample.liked)
        return cls(mean, scale, model.coef_[0])

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds up to a constant, shape (n,), of features of shape (n, n_features)."""
        known = np.where(np.isnan(matrix), self.mean, matrix)
        return np.asarray(((known - self.mean) / self.scale) @ self.weight)


class Logistic(Baseline):
    """The regression on features in the state of one of our recommenders."""

    def __init__(self, recommender: Recommender, weights: LogisticWeights) -> None:
        self.recommender = recommender
        self.weights = weights

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Log-odds up to a constant."""
        return self.weights.score(self.recommender.matrix(user, at, post))
