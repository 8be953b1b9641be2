"""XGBoost: trees that start from the first stage's log-odds."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import xgboost as xgb
from scipy.special import expit

from feedrank.errors import ArtifactError
from feedrank.io.arrays import Place
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.ranking.rankers.xgboost_trees import Trees

FILE, ATTRIBUTE = "ranker.ubj", "feedrank_first_stage"
# Rows times nodes up to which numpy sums the trees: five rows of 400 deep trees, or 1,000 of the
# demo's, whose trees are mostly single leaves. It takes a tenth to nine tenths of XGBoost's time.
FEW_NODES = 75_000
LOWEST = np.float32(-88.7)  # log-odds whose exponential a float32 still holds


class XGBoostRanker(Ranker):
    """Probabilities of a like: `sigmoid(first stage + trees)`."""

    name = "xgboost"

    def __init__(self, booster: xgb.Booster, first_stage: FirstStage) -> None:
        self.booster = booster
        self.first_stage = first_stage

    @property
    def feature_names(self) -> list[str]:
        """The ordered features that the trees were grown on."""
        return list(self.booster.feature_names or [])

    @property
    def n_rounds(self) -> int:  # type: ignore[override]
        """Number of trees."""
        return int(self.booster.num_boosted_rounds())

    @property
    def spread(self) -> float:  # type: ignore[override]
        """The trees' own."""
        return self._trees.spread

    @cached_property
    def _trees(self) -> Trees:
        return Trees(self.booster)

    @cached_property
    def columns(self) -> list[int]:
        """Columns of the matrix that a tree splits on; the trees read no other."""
        names = self.feature_names
        return sorted(
            names.index(name) for name in self.booster.get_score(importance_type="weight")
        )

    def probability(
        self,
        matrix: np.ndarray,
        log_odds: np.ndarray | None = None,
        asked: Asked | None = None,
        n_rounds: int | None = None,
    ) -> np.ndarray:
        """Probability of a like, float32, shape (n,), as `Ranker` says."""
        margin = self.first_stage(matrix) if log_odds is None else log_odds
        if n_rounds is None and len(matrix) * self._trees.n_nodes <= FEW_NODES:
            # XGBoost's own sigmoid, its lower bound included, to the last bit.
            return np.asarray(expit(np.maximum(self._trees.margin(matrix, margin), LOWEST)))
        return np.asarray(
            self.booster.inplace_predict(
                matrix,
                base_margin=margin,
                validate_features=False,
                iteration_range=(0, n_rounds or 0),  # 0: all
            )
        )

    def with_first_stage(self, first_stage: FirstStage) -> XGBoostRanker:
        """The same trees on another first stage."""
        return XGBoostRanker(self.booster, first_stage)

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """SHAP values of the trees (Lundberg et al. 2018), and their mean."""
        if not len(matrix):
            return np.zeros(matrix.shape), 0.0
        rows = xgb.DMatrix(
            matrix, base_margin=np.zeros(len(matrix)), feature_names=self.feature_names, nthread=1
        )
        parts = np.asarray(self.booster.predict(rows, pred_contribs=True), dtype=np.float64)
        return parts[:, :-1], float(parts[0, -1])

    def gains(self) -> dict[str, float]:
        """Gain of all splits on a feature, by name."""
        found = self.booster.get_score(importance_type="total_gain")
        return {name: float(gain) for name, gain in found.items()}

    def save(self, directory: Path) -> None:
        """Write one file: the booster, with the first stage among its attributes."""
        self.booster.set_attr(**{ATTRIBUTE: self.first_stage.to_json()})
        self.booster.save_model(directory / FILE)

    @classmethod
    def load(cls, directory: Place, name: str = FILE) -> XGBoostRanker:
        """A ranker that `save` wrote; raises `ArtifactError` for any other file."""
        place, booster = directory / name, xgb.Booster({"nthread": 1})
        try:
            # By its path where it has one: XGBoost 3.2 dies of bytes that are no model.
            booster.load_model(place if isinstance(place, Path) else bytearray(place.read_bytes()))
        except xgb.core.XGBoostError as error:
            raise ArtifactError(f"'{place}' is not a ranker. Run `dvc repro`.") from error
        first_stage = booster.attr(ATTRIBUTE)
        if first_stage is None:
            raise ArtifactError(f"'{place}' lacks the first stage. Run `dvc repro --force train`.")
        return cls(booster, FirstStage.from_json(first_stage))
