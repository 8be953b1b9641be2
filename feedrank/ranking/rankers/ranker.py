"""Ranker: the interface of what orders the candidates that the first stage keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Sequence

import numpy as np

from feedrank.ranking.first_stage import FirstStage
from feedrank.state.past import Past

if TYPE_CHECKING:
    from pathlib import Path

    from feedrank.features.rows import TrainingRows
    from feedrank.state.feature_store import FeatureStore


class Asked(NamedTuple):
    """Pairs of a request and a post behind the rows of a matrix.

    Attributes:
        post: row of the post, shape (n,).
        at: seconds since the log's origin, shape (n,).
        request: number of the request within `past`, shape (n,).
        past: of each request.
    """

    post: np.ndarray
    at: np.ndarray
    request: np.ndarray
    past: Past

    @classmethod
    def of_rows(cls, rows: TrainingRows, store: FeatureStore) -> Asked:
        """Of training rows: a request is a user and a step."""
        step = np.asarray(rows.at) // store.fitted.step_seconds
        keys = np.asarray(rows.user, dtype=np.int64) << 32 | step.astype(np.int64)
        distinct, request = np.unique(keys, return_inverse=True)
        past = Past(store.history.before, distinct >> 32, distinct & 0xFFFFFFFF)
        return cls(np.asarray(rows.post).astype(np.int64), np.asarray(rows.at), request, past)


class Ranker(ABC):
    """Probabilities of a like.

    Attributes:
        name: as in `train.ranker`.
        first_stage: generates the candidates.
        n_rounds: parts that were fitted one after another, such as trees.
        libraries: that it needs beside numpy, scipy and XGBoost.
        spread: by how much more, in log-odds beyond the first stage's, it can lift one post than
            another; inf if that is unknown.
    """

    name: str
    first_stage: FirstStage
    n_rounds = 1
    libraries: Sequence[str] = ()
    spread = inf

    @property
    @abstractmethod
    def feature_names(self) -> list[str]:
        """The ordered features that it was fitted on."""

    @property
    def columns(self) -> Sequence[int]:
        """Columns of the matrix that it reads where the first stage's log-odds are known."""
        return range(len(self.feature_names))

    @abstractmethod
    def probability(
        self,
        matrix: np.ndarray,
        log_odds: np.ndarray | None = None,
        asked: Asked | None = None,
        n_rounds: int | None = None,
    ) -> np.ndarray:
        """Probability of a like, float32, shape (n,).

        Args:
            matrix: all features; `columns` suffice with `log_odds`.
            log_odds: of the first stage, float32, shape (n,), if they are there already.
            asked: requests and posts of the rows; rankers of features alone do without.
            n_rounds: the first so many alone, 1 or more; None: all.
        """

    @abstractmethod
    def with_first_stage(self, first_stage: FirstStage) -> Ranker:
        """The same ranker on another first stage."""

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """Log-odds by feature beyond the first stage, float64, shape (n, n_features), and a base.

        A ranker that cannot tell them leaves all to the rest that an explanation shows.
        """
        return np.zeros(matrix.shape), 0.0

    def gains(self) -> dict[str, float]:
        """Total gain of a feature in the fit, in units of the ranker's own, by name."""
        return {}

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write plain files, whose names begin with 'ranker', into an existing directory."""
