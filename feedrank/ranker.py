"""The ranker: a first score that adds up log ratios, and XGBoost on what it leaves unexplained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xgboost as xgb
from scipy.special import expit

from feedrank.errors import ArtifactError
from feedrank.features import Feature
from feedrank.places import Place
from feedrank.trees import check_labels, grow_trees, holds_both, late_since

if TYPE_CHECKING:
    from feedrank.params import TrainParams

LINEAR_ROWS = 1_000_000
LINEAR = "feedrank_linear"
NEWTON_STEPS, LEAST_GAIN = 30, 1e-6  # of the log-likelihood
WEIGHT_SPREAD = 0.3  # of a first-score weight around 1


@dataclass(frozen=True)
class FirstScore:
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
    def fit(cls, matrix: np.ndarray, liked: np.ndarray, features: Sequence[Feature]) -> FirstScore:
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
        weights = _drawn_to(usual, precision, rows, liked[thin])
        return cls(columns, tuple(weights[:-1].tolist()), float(weights[-1]))


class Ranker:
    """Probabilities of a like: `sigmoid(first score + trees)`."""

    def __init__(self, booster: xgb.Booster, first_score: FirstScore) -> None:
        self.booster = booster
        self.first_score = first_score

    @property
    def feature_names(self) -> list[str]:
        """The ordered features that the trees were grown on."""
        return list(self.booster.feature_names or [])

    def probability(self, matrix: np.ndarray) -> np.ndarray:
        """Probability of a like, float32, shape (n,), for rows of all features."""
        return np.asarray(
            self.booster.inplace_predict(
                matrix, base_margin=self.first_score(matrix), validate_features=False
            )
        )

    @classmethod
    def fit(
        cls,
        matrix: np.ndarray,
        liked: np.ndarray,
        at: np.ndarray,
        features: Sequence[Feature],
        params: TrainParams,
    ) -> Ranker:
        """Grow trees on rows in their given order, as many as the last tenth of time asks for.

        The latest rows decide how many trees help; then all rows grow that many.

        Args:
            matrix: float32, shape (n, n_features).
            liked: uint8, shape (n,).
            at: seconds, shape (n,), only to tell the latest rows.
            features: the ordered spec.
            params: of training.

        Raises:
            SchemaError: the rows hold no like, or nothing else.
        """
        check_labels(liked)
        is_late = at >= late_since(at)
        n_trees = params.trees
        if holds_both(liked[is_late]) and holds_both(liked[~is_late]):
            early = _grow(
                matrix[~is_late],
                liked[~is_late],
                features,
                params,
                params.trees,
                (matrix[is_late], liked[is_late]),
            )
            n_trees = int(early.booster.best_iteration) + 1
        return _grow(matrix, liked, features, params, n_trees, None)

    def save(self, path: Path) -> None:
        """Write one file: the booster, with the first score among its attributes."""
        linear = json.dumps(vars(self.first_score), sort_keys=True)
        self.booster.set_attr(**{LINEAR: linear})
        self.booster.save_model(path)

    @classmethod
    def load(cls, place: Place) -> Ranker:
        """What `save` wrote; raises `ArtifactError` for any other file."""
        booster = xgb.Booster({"nthread": 1})
        try:
            # By its path where it has one: XGBoost 3.2 dies of bytes that are no model.
            booster.load_model(place if isinstance(place, Path) else bytearray(place.read_bytes()))
        except xgb.core.XGBoostError as error:
            raise ArtifactError(f"'{place}' is not a ranker. Run `dvc repro`.") from error
        linear = booster.attr(LINEAR)
        if linear is None:
            raise ArtifactError(f"'{place}' lacks the first score. Run `dvc repro --force train`.")
        values = json.loads(linear)
        return cls(
            booster,
            FirstScore(tuple(values["columns"]), tuple(values["weights"]), values["bias"]),
        )


def _drawn_to(
    usual: np.ndarray, precision: np.ndarray, rows: np.ndarray, liked: np.ndarray
) -> np.ndarray:
    """Weights of a logistic regression with a normal prior, by Newton's method.

    A step is halved until it helps: from where likes are far more frequent than the usual weights
    say, a whole one would lead away for good.
    """

    def loss(weights: np.ndarray) -> float:
        score = rows @ weights
        surprise = np.sum(np.logaddexp(0, score) - liked * score)
        return float(surprise + np.sum(precision * (weights - usual) ** 2) / 2)

    weights, lowest = usual, loss(usual)
    for _ in range(NEWTON_STEPS):
        p = expit(rows @ weights)
        slope = rows.T @ (liked - p) - precision * (weights - usual)
        bend = rows.T @ (rows * (p * (1 - p))[:, None]) + np.diag(precision)
        step = np.linalg.solve(bend, slope)
        if slope @ step < LEAST_GAIN:
            break
        while (found := loss(weights + step)) > lowest:
            step = step / 2
        weights, lowest = weights + step, found
    return weights


def _grow(
    matrix: np.ndarray,
    liked: np.ndarray,
    features: Sequence[Feature],
    params: TrainParams,
    n_trees: int,
    watched: tuple[np.ndarray, np.ndarray] | None,
) -> Ranker:
    first_score = FirstScore.fit(matrix, liked, features)
    names = [f.name for f in features]

    def rows(matrix: np.ndarray, liked: np.ndarray, ref: xgb.DMatrix | None) -> xgb.DMatrix:
        return xgb.QuantileDMatrix(
            matrix,
            label=liked,
            base_margin=first_score(matrix),
            feature_names=names,
            max_bin=params.max_bin,
            nthread=params.threads,
            ref=ref,
        )

    train = rows(matrix, liked, None)
    late = rows(*watched, train) if watched else None
    return Ranker(grow_trees(train, late, n_trees, features, params), first_score)
