"""Trees grown by four objectives on sessions: the rows of a user's day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from feedrank.features import Feature
from feedrank.log import SECONDS_A_DAY
from feedrank.params import TrainParams
from feedrank.ranker import FirstScore
from feedrank.rows import TrainingRows
from feedrank.trees import late_since, tree_settings

LISTWISE = "listwise softmax"
OBJECTIVES = ("binary:logistic", "rank:pairwise", "rank:ndcg", LISTWISE)
OWN_LOSS = {"binary:logistic": "logloss", "rank:pairwise": "ndcg@5", "rank:ndcg": "ndcg@5"}
Gradient = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Sessions:
    """Rows ordered by user, day and moment.

    Attributes:
        matrix: float32, shape (n, n_features).
        liked: uint8, shape (n,).
        at: seconds, shape (n,).
        session: number of the user's day, ascending, shape (n,).
        margin: of the first score, float32, shape (n,).
    """

    matrix: np.ndarray
    liked: np.ndarray
    at: np.ndarray
    session: np.ndarray
    margin: np.ndarray

    @classmethod
    def of(cls, rows: TrainingRows, first: FirstScore) -> Sessions:
        """The rows of a user and a day are a session."""
        day = rows.at // SECONDS_A_DAY
        rows = rows[np.lexsort((rows.post, rows.at, day, rows.user))]
        name = rows.user.astype(np.int64) * (int(day.max()) + 1) + rows.at // SECONDS_A_DAY
        number = np.unique(name, return_inverse=True)[1]
        return cls(rows.matrix, rows.liked, rows.at, number, first(rows.matrix))

    def some(self, kept: np.ndarray) -> Sessions:
        """The rows of a mask, shape (n,)."""
        return Sessions(*(column[kept] for column in vars(self).values()))


def grown(
    objective: str, rows: Sessions, features: Sequence[Feature], params: TrainParams
) -> xgb.Booster:
    """As many trees as the last tenth of time asks for, grown on all rows, as `Ranker.fit` does."""
    late = rows.at >= late_since(rows.at)
    early = _grow(objective, rows.some(~late), features, params, params.trees, rows.some(late))
    return _grow(objective, rows, features, params, early.best_iteration + 1, None)


def n_splits(booster: xgb.Booster) -> int:
    """Splits of all trees."""
    return int(sum(booster.get_score(importance_type="weight").values()))


def _grow(
    objective: str,
    rows: Sessions,
    features: Sequence[Feature],
    params: TrainParams,
    n_trees: int,
    watched: Sessions | None,
) -> xgb.Booster:
    train = _matrix(rows, features, params, None)
    settings = {**tree_settings(features, params), "nthread": params.threads}
    given: dict[str, Any] = {}
    del settings["objective"], settings["eval_metric"]
    if objective == LISTWISE:
        settings |= {"base_score": 0.0, "disable_default_eval_metric": True}
        given = {"obj": _softmax_gradient, "custom_metric": _softmax_loss}
    else:
        settings |= {"objective": objective, "eval_metric": OWN_LOSS[objective]}
    if watched is not None:
        given |= {
            "evals": [(_matrix(watched, features, params, train), "late")],
            "early_stopping_rounds": params.early_stopping_rounds,
        }
    booster = xgb.train(settings, train, n_trees, verbose_eval=False, **given)
    booster.set_param({"nthread": 1})
    return booster


def _matrix(
    rows: Sessions, features: Sequence[Feature], params: TrainParams, ref: xgb.DMatrix | None
) -> xgb.DMatrix:
    return xgb.QuantileDMatrix(
        rows.matrix,
        label=rows.liked,
        qid=rows.session,
        base_margin=rows.margin,
        feature_names=[f.name for f in features],
        max_bin=params.max_bin,
        nthread=params.threads,
        ref=ref,
    )


def _softmax_gradient(score: np.ndarray, rows: xgb.DMatrix) -> Gradient:
    """Of `_softmax_loss`, summed, and its second derivative by each score."""
    share, likes, liked = _shares(score, rows)
    return likes * share - liked, likes * share * (1 - share)


def _softmax_loss(score: np.ndarray, rows: xgb.DMatrix) -> tuple[str, float]:
    """How surprising the liked posts of a session are, if its likes are drawn by exp(score)."""
    share, _, liked = _shares(score, rows)
    return "surprise", float(-np.mean(liked * np.log(share)))


def _shares(score: np.ndarray, rows: xgb.DMatrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of exp(score) in the session, likes of the session, and own like, shape (n,) each."""
    edges = rows.get_uint_info("group_ptr").astype(np.int64)
    begin, size = edges[:-1], np.diff(edges)
    liked = rows.get_label().astype(np.float64)

    def of_session(reduce: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
        return np.repeat(reduce(values, begin), size)

    weight = np.exp(score - of_session(np.maximum.reduceat, score.astype(np.float64)))
    share = weight / of_session(np.add.reduceat, weight)
    return share, of_session(np.add.reduceat, liked), liked
