"""A baseline: logistic regression on our own features, without trees or drawn weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from feedrank.features.rows import TrainingRows
from feedrank.ranking.recommender import Recommender
from feedrank.validation.baselines.baseline import Baseline

MOST_ROWS = 300_000


@dataclass(frozen=True)
class LogisticWeights:
    """A fitted regression on standardised features.

    Attributes:
        mean: of each feature, shape (n_features,); a missing value counts as it.
        scale: of each feature, same shape.
        weight: of each standardised feature, same shape.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray

    @classmethod
    def fit(cls, rows: TrainingRows, seed: int) -> LogisticWeights:
        """On a random sample of rows."""
        rng = np.random.default_rng(seed)
        sample = rows[np.sort(rng.permutation(len(rows))[:MOST_ROWS])]
        matrix = np.asarray(sample.matrix, dtype=np.float64)
        known = ~np.isnan(matrix)
        mean = np.where(known, matrix, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        filled = np.where(known, matrix, mean)
        scale = np.maximum(filled.std(0), 1e-9)
        model = LogisticRegression(max_iter=300).fit((filled - mean) / scale, sample.liked)
        return cls(mean, scale, model.coef_[0])

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds up to a constant, shape (n,)."""
        known = np.where(np.isnan(matrix), self.mean, matrix)
        return np.asarray(((known - self.mean) / self.scale) @ self.weight)


@dataclass(frozen=True)
class Logistic(Baseline):
    """Orders posts by the regression, on features in the state of a recommender of ours."""

    recommender: Recommender
    weights: LogisticWeights

    @property
    def n_posts(self) -> int:  # type: ignore[override]
        """Posts of the catalogue."""
        return len(self.recommender.catalogue.post_ids)

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Log-odds up to a constant."""
        return self.weights.score(self.recommender.matrix(user, at, post))
