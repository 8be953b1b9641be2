"""LightGBM: trees that start from the first stage's log-odds, for likes or for their order."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from feedrank.ranking.rankers.learned import Arrays, LearnedRanker, RankerRows

if TYPE_CHECKING:
    from feedrank.params import TrainParams


class LightGbmBinary(LearnedRanker):
    """Trees by logistic loss: their scores are log-odds."""

    name = "lightgbm_binary"
    libraries = ("lightgbm",)
    gives_log_odds = True
    objective: ClassVar[str] = "binary"
    metric: ClassVar[str] = "binary_logloss"

    @classmethod
    def fit(
        cls, rows: RankerRows, late: RankerRows | None, params: TrainParams, early: Arrays | None
    ) -> Arrays:
        """Trees as LightGBM's text, in bytes; as many as helped the late rows."""
        import lightgbm as lgb

        settings = {**_settings(params), "objective": cls.objective, "metric": cls.metric}
        known = cls._dataset(rows, settings, None)
        if late is None:
            n_trees = params.trees if early is None else int(early["n_trees"])
            model = lgb.train(settings, known, n_trees)
        else:
            stop = lgb.early_stopping(params.early_stopping_rounds, verbose=False)
            watched = cls._dataset(late, settings, known)
            model = lgb.train(settings, known, params.trees, [watched], callbacks=[stop])
            n_trees = model.best_iteration
        text = model.model_to_string(num_iteration=n_trees)
        return {
            "n_trees": np.array(n_trees),
            "text": np.frombuffer(text.encode(), dtype=np.uint8),
        }

    @classmethod
    def _dataset(cls, rows: RankerRows, settings: dict[str, Any], reference: Any) -> Any:
        import lightgbm as lgb

        order, sizes = cls._groups(rows)
        return lgb.Dataset(
            np.asarray(rows.matrix)[order],
            rows.liked[order],
            reference=reference,
            group=sizes,
            init_score=rows.log_odds[order].astype(np.float64),
            params=settings,
        )

    @classmethod
    def _groups(cls, rows: RankerRows) -> tuple[np.ndarray | slice, np.ndarray | None]:
        """Order of the rows, and sizes of the requests, for an objective that needs them."""
        return slice(None), None

    @cached_property
    def _booster(self) -> Any:
        import lightgbm as lgb

        return lgb.Booster(model_str=bytes(self.learned["text"]).decode())

    def score(self, rows: RankerRows) -> np.ndarray:
        """First-stage log-odds and trees; one thread, which changes no bit of a sum of trees."""
        if not len(rows.matrix):
            return np.empty(0)
        trees = self._booster.predict(rows.matrix, raw_score=True, num_threads=1)
        return rows.log_odds + np.asarray(trees)

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """SHAP values of the trees, and their mean."""
        if not len(matrix):
            return np.zeros(matrix.shape), 0.0
        parts = np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=1))
        return self.scale * parts[:, :-1], self.scale * float(parts[0, -1])


class LightGbmRank(LightGbmBinary):
    """LambdaMART (Burges 2010): trees for the order within the posts of a user and a step."""

    name = "lightgbm_rank"
    gives_log_odds = False
    objective = "lambdarank"
    metric = "ndcg"

    @classmethod
    def _groups(cls, rows: RankerRows) -> tuple[np.ndarray, np.ndarray]:
        return np.argsort(rows.request, kind="stable"), np.bincount(rows.request)


def _settings(params: TrainParams) -> dict[str, Any]:
    """The parameters of XGBoost's trees in LightGBM's words."""
    return {
        "learning_rate": params.learning_rate,
        "num_leaves": 2**params.max_depth,
        "max_depth": params.max_depth,
        "min_sum_hessian_in_leaf": params.min_child_weight,
        "lambda_l2": params.reg_lambda,
        "min_gain_to_split": params.min_split_gain,
        "bagging_fraction": params.subsample,
        "bagging_freq": 1,
        "feature_fraction": params.colsample_bytree,
        "max_bin": params.max_bin,
        "num_threads": params.threads,
        "seed": params.seed,
        "eval_at": [5],
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
