"""XGBoost: trees that start from the first stage's log-odds."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
from scipy.special import expit

from feedrank.errors import ArtifactError
from feedrank.io.arrays import Place
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.ranking.rankers.xgboost_trees import Trees

if TYPE_CHECKING:
    from pathlib import Path

    import xgboost as xgb

FILE, ATTRIBUTE = "ranker_xgboost.json", "feedrank_first_stage"
# Rows times nodes up to which numpy sums the trees: five rows of 400 deep trees, or 1,000 of the
# demo's, whose trees are mostly single leaves. It takes a tenth to nine tenths of XGBoost's time.
FEW_NODES = 75_000
LONGEST_REASON = 200  # characters; XGBoost's may hold the whole file
LOWEST = np.float32(-88.7)  # log-odds whose exponential a float32 still holds


def reason_of(error: Exception) -> str:
    """What XGBoost says, without its own stack and the rest of a long line."""
    return str(error).split("\n")[0][:LONGEST_REASON]


class XGBoostRanker(Ranker):
    """Probabilities of a like: `sigmoid(first stage + trees)`.

    Few rows are scored without XGBoost, whose import takes a second and 120 MB.

    Args:
        content: of the booster, in JSON, with the first stage among its attributes.
    """

    name = "xgboost"
    is_read = False  # by XGBoost, when the artifact was loaded: it is faster with many nodes

    def __init__(self, content: bytes) -> None:
        self.content = content

    @classmethod
    def of(cls, booster: xgb.Booster, first_stage: FirstStage) -> XGBoostRanker:
        """The ranker of a booster that was grown on a first stage."""
        whole = booster.copy()
        whole.set_attr(**{ATTRIBUTE: first_stage.to_json()})
        return cls(bytes(whole.save_raw("json")))

    def __reduce__(self) -> tuple[Callable[..., XGBoostRanker], tuple[Any, ...]]:
        """Without what is derived of the content."""
        return XGBoostRanker, (self.content,)

    @cached_property
    def model(self) -> dict[str, Any]:
        """The booster, as XGBoost saves it in JSON."""
        found: dict[str, Any] = json.loads(self.content)
        return found

    @cached_property
    def first_stage(self) -> FirstStage:  # type: ignore[override]
        """The first stage that the trees start from."""
        return FirstStage.from_json(self.model["learner"]["attributes"][ATTRIBUTE])

    @cached_property
    def booster(self) -> xgb.Booster:
        """The same, read by XGBoost; `ValueError` if it cannot."""
        import xgboost as xgb

        booster = xgb.Booster({"nthread": 1})
        try:
            booster.load_model(bytearray(self.content))
        except xgb.core.XGBoostError as error:
            raise ValueError(f"XGBoost: {reason_of(error)}") from error
        return booster

    def be_ready(self, n_rows: int) -> None:
        """Import XGBoost now, and not with a first request, if so many rows are scored by it."""
        if not self._are_few(n_rows):
            self.is_read = self.booster is not None

    def _are_few(self, n_rows: int) -> bool:
        return n_rows * self.trees.n_nodes <= FEW_NODES

    @property
    def feature_names(self) -> list[str]:
        """The ordered features that the trees were grown on."""
        return list(self.model["learner"]["feature_names"])

    @property
    def n_rounds(self) -> int:  # type: ignore[override]
        """Number of trees."""
        return self.trees.n_trees

    @property
    def spread(self) -> float:  # type: ignore[override]
        """The trees' own."""
        return self.trees.spread

    @cached_property
    def trees(self) -> Trees:
        """The trees as arrays."""
        return Trees(self.model)

    @cached_property
    def columns(self) -> list[int]:
        """Columns of the matrix that a tree splits on; the trees read no other."""
        return self.trees.features.tolist()

    def probability(
        self,
        matrix: np.ndarray,
        log_odds: np.ndarray | None = None,
        asked: Asked | None = None,
        n_rounds: int | None = None,
    ) -> np.ndarray:
        """Probability of a like, float32, shape (n,), as `Ranker` says."""
        margin = self.first_stage(matrix) if log_odds is None else log_odds
        if n_rounds is None and self._are_few(len(matrix)):
            # XGBoost's own sigmoid, its lower bound included, to the last bit.
            return np.asarray(expit(np.maximum(self.trees.margin(matrix, margin), LOWEST)))
        return self.of_xgboost(matrix, margin, n_rounds)

    def of_xgboost(
        self, matrix: np.ndarray, log_odds: np.ndarray, n_rounds: int | None = None
    ) -> np.ndarray:
        """As `probability`, by XGBoost, however few the rows are."""
        return np.asarray(
            self.booster.inplace_predict(
                matrix,
                base_margin=log_odds,
                validate_features=False,
                iteration_range=(0, n_rounds or 0),  # 0: all
            )
        )

    def with_first_stage(self, first_stage: FirstStage) -> XGBoostRanker:
        """The same trees on another first stage."""
        return XGBoostRanker.of(self.booster, first_stage)

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """SHAP values of the trees (Lundberg et al. 2018), and their mean."""
        if self._are_few(len(matrix)) and not self.is_read:
            return self.trees.contributions(matrix)
        import xgboost as xgb

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
        (directory / FILE).write_bytes(self.content)

    @classmethod
    def load(cls, directory: Place, name: str = FILE) -> XGBoostRanker:
        """A ranker that `save` wrote; raises `ArtifactError` for any other file."""
        place = directory / name
        try:
            found = cls(place.read_bytes())
            is_whole = ATTRIBUTE in found.model["learner"]["attributes"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise ArtifactError(f"'{place}' is not a ranker. Run `dvc repro`.") from error
        if not is_whole:
            raise ArtifactError(f"'{place}' lacks the first stage. Run `dvc repro --force train`.")
        return found
