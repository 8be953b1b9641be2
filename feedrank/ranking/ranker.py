"""Ranker: the first stage, and XGBoost trees that start from its log-odds."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import xgboost as xgb

from feedrank.errors import ArtifactError
from feedrank.io.arrays import Place
from feedrank.ranking.first_stage import FirstStage

ATTRIBUTE = "feedrank_first_stage"


class Ranker:
    """Probabilities of a like: `sigmoid(first stage + trees)`."""

    def __init__(self, booster: xgb.Booster, first_stage: FirstStage) -> None:
        self.booster = booster
        self.first_stage = first_stage

    @property
    def feature_names(self) -> list[str]:
        """The ordered features that the trees were grown on."""
        return list(self.booster.feature_names or [])

    @cached_property
    def tree_columns(self) -> list[int]:
        """Columns of the matrix that a tree splits on; the trees read no other."""
        names = self.feature_names
        return sorted(
            names.index(name) for name in self.booster.get_score(importance_type="weight")
        )

    def probability(self, matrix: np.ndarray, log_odds: np.ndarray | None = None) -> np.ndarray:
        """Probability of a like, float32, shape (n,).

        Args:
            matrix: all features; `tree_columns` suffice with `log_odds`.
            log_odds: of the first stage, float32, shape (n,), if they are there already.
        """
        margin = self.first_stage(matrix) if log_odds is None else log_odds
        return np.asarray(
            self.booster.inplace_predict(matrix, base_margin=margin, validate_features=False)
        )

    def save(self, path: Path) -> None:
        """Write one file: the booster, with the first stage among its attributes."""
        first_stage = json.dumps(vars(self.first_stage), sort_keys=True)
        self.booster.set_attr(**{ATTRIBUTE: first_stage})
        self.booster.save_model(path)

    @classmethod
    def load(cls, place: Place) -> Ranker:
        """A ranker that `save` wrote; raises `ArtifactError` for any other file."""
        booster = xgb.Booster({"nthread": 1})
        try:
            # By its path where it has one: XGBoost 3.2 dies of bytes that are no model.
            booster.load_model(place if isinstance(place, Path) else bytearray(place.read_bytes()))
        except xgb.core.XGBoostError as error:
            raise ArtifactError(f"'{place}' is not a ranker. Run `dvc repro`.") from error
        first_stage = booster.attr(ATTRIBUTE)
        if first_stage is None:
            raise ArtifactError(f"'{place}' lacks the first stage. Run `dvc repro --force train`.")
        values = json.loads(first_stage)
        bias = values.pop("bias")
        parts = {name: tuple(of_columns) for name, of_columns in values.items()}
        return cls(booster, FirstStage(**parts, bias=bias))
