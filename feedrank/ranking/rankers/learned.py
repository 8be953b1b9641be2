"""Learned ranker: scores from arrays that a class of its own learned, as probabilities."""

from __future__ import annotations

import json
from abc import abstractmethod
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

import numpy as np
from scipy.special import expit

from feedrank.io.arrays import Place, read_array
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers.ranker import Asked, Ranker
from feedrank.state.past import Past
from feedrank.state.plugins.own_code import checked_scores
from feedrank.state.plugins.plugin import Plugin

if TYPE_CHECKING:
    from pathlib import Path

    from feedrank.params import TrainParams

FILE, SOURCE = "ranker.json", "ranker_source.py"


@dataclass(frozen=True)
class RankerRows:
    """What a ranker scores: posts of requests that the first stage kept, or rows of training.

    Attributes:
        matrix: all features, float32, shape (n, n_features).
        log_odds: of the first stage, float32, shape (n,).
        post: row of each post, int64, shape (n,).
        at: seconds since the log's origin, shape (n,).
        request: number of each one's request within `past`, shape (n,).
        past: impressions of each request's user before its step.
        liked: of training rows 0 or 1, shape (n,).
    """

    matrix: np.ndarray
    log_odds: np.ndarray
    post: np.ndarray
    at: np.ndarray
    request: np.ndarray
    past: Past
    liked: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))


Arrays = Mapping[str, np.ndarray]


class LearnedRanker(Ranker):
    """A ranker to be subclassed: `fit` and `score` are all that it needs.

    Probabilities are `sigmoid(scale * score + level)`.

    Args:
        learned: arrays that `fit` returned, by name.
        first_stage: that generates the candidates.
        feature_names: the ordered features that it was fitted on.
        scale: of scores, above 0.
        level: added.
    """

    gives_log_odds: ClassVar[bool] = False  # True: scores are log-odds, and are not calibrated
    plugin: ClassVar[Plugin | None] = None  # the module of an own ranker, which travels along

    def __init__(
        self,
        learned: Arrays,
        first_stage: FirstStage,
        feature_names: list[str],
        scale: float = 1.0,
        level: float = 0.0,
    ) -> None:
        self.learned, self.first_stage = learned, first_stage
        self._names, self.scale, self.level = feature_names, scale, level

    @classmethod
    @abstractmethod
    def fit(
        cls, rows: RankerRows, late: RankerRows | None, params: TrainParams, early: Arrays | None
    ) -> Arrays:
        """Arrays, by names that are identifiers.

        It is called twice, as a rule: first on the earlier nine tenths of time, when it may watch
        the `late` rows to stop, and then on all rows, when `late` is None and `early` holds what
        the first call returned. A log that is too short to be split has the second call alone.

        Args:
            rows: in order of time.
            late: later rows; scores of these calibrate.
            params: of training: `threads`, `seed` and what else suits.
            early: result of the first call.
        """

    @abstractmethod
    def score(self, rows: RankerRows) -> np.ndarray:
        """Higher is better, shape (n,); the score of a row must not depend on other rows."""

    def scores(self, rows: RankerRows) -> np.ndarray:
        """`score`, float64, shape (n,); raises `SchemaError` where it is not one number a row."""
        module = "" if self.plugin is None else self.plugin.name
        score = partial(self.score, rows)
        return checked_scores(f"the ranker '{self.name}'", module, score, len(rows.post))

    @property
    def feature_names(self) -> list[str]:
        """The ordered features that it was fitted on."""
        return self._names

    def probability(
        self,
        matrix: np.ndarray,
        log_odds: np.ndarray | None = None,
        asked: Asked | None = None,
        n_rounds: int | None = None,
    ) -> np.ndarray:
        """Probability of a like, float32, shape (n,), as `Ranker` says; it needs `asked`."""
        assert asked is not None
        first = self.first_stage(matrix) if log_odds is None else log_odds
        score = self.scores(RankerRows(matrix, first, *asked))
        return expit(self.scale * score + self.level).astype(np.float32)

    def with_first_stage(self, first_stage: FirstStage) -> LearnedRanker:
        """The same arrays on another first stage."""
        other = copy(self)
        other.first_stage = first_stage
        return other

    def save(self, directory: Path) -> None:
        """Write `ranker.json`, `ranker_*.npy`, and the source of an own ranker."""
        about = {
            "ranker": self.name,
            "features": self.feature_names,
            "first_stage": self.first_stage.to_json(),
            "scale": self.scale,
            "level": self.level,
            "arrays": list(self.learned),
        }
        (directory / FILE).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
        for name, array in self.learned.items():
            np.save(directory / _file_of(name), array)
        if self.plugin is not None:
            (directory / SOURCE).write_bytes(self.plugin.source.encode())

    @classmethod
    def load(cls, place: Place, about: Mapping[str, Any]) -> LearnedRanker:
        """A ranker of this class that `save` wrote."""
        learned = {name: read_array(place / _file_of(name)) for name in about["arrays"]}
        first_stage = FirstStage.from_json(about["first_stage"])
        scale, level = float(about["scale"]), float(about["level"])
        return cls(learned, first_stage, list(about["features"]), scale, level)


def files_of(about: Mapping[str, Any]) -> set[str]:
    """Names of the files of a saved ranker; raises `ValueError` for a name that is none."""
    if not all(name.isidentifier() for name in about["arrays"]):
        raise ValueError(f"its arrays are named {about['arrays']}")
    own = {SOURCE} if ":" in about["ranker"] else set()
    return {FILE, *own, *map(_file_of, about["arrays"])}


def _file_of(array: str) -> str:
    return f"ranker_{array}.npy"
