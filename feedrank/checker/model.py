"""Model of the checker bundle: a classifier of impressions, and the recommender around it."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import xgboost as xgb

from feedrank.artifact.golden import close, replay
from feedrank.errors import ArtifactError, blaming
from feedrank.io.arrays import Place, read_array
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.ranking.recommender import Recommender
from feedrank.state.catalogue import Id
from feedrank.state.feature_store import FeatureStore

ABOUT, GOLDEN, STORE, RANKER = "about.json", "golden.json", "store", "ranker.json"
REMEDY = "Copy it again, or make it again: dvc repro checker."
PROBE = ("matrix", "probability", "trees")


class Probe(NamedTuple):
    """Rows on which every reader of the ranker has to agree.

    Attributes:
        matrix: float32, shape (n, n_features).
        probability: of a like, shape (n,).
        trees: the same of the trees alone, shape (n,), which depends on the booster's base score.
    """

    matrix: np.ndarray
    probability: np.ndarray
    trees: np.ndarray

    @classmethod
    def of(cls, ranker: XGBoostRanker, matrix: np.ndarray) -> Probe:
        """Answers of a ranker for these rows."""
        trees = ranker.booster.inplace_predict(matrix, validate_features=False)
        return cls(matrix, ranker.probability(matrix), np.asarray(trees))

    @classmethod
    def load(cls, place: Place) -> Probe:
        """Stored rows and answers of a bundle."""
        return cls(*(read_array(place / f"probe_{name}.npy") for name in PROBE))


class Model:
    """The model that `load_models` returns.

    Args:
        store: point-in-time state of users and posts.
        recommender: the one scoring path.
    """

    classes_ = np.array([0, 1])

    def __init__(self, store: FeatureStore, recommender: Recommender) -> None:
        self.store = store
        self.recommender = recommender
        self.feature_names_in_ = np.array([f.name for f in recommender.features], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)

    @classmethod
    def load(cls, path: str) -> Model:
        """Read the file, and answer its probe and golden requests again.

        Raises:
            ArtifactError: it is not whole, it was made for other features, or this XGBoost or numpy
                gives other answers than the versions that it was made with.
        """
        with blaming(path, REMEDY):
            return cls._load(path)

    @classmethod
    def _load(cls, path: str) -> Model:
        place = zipfile.Path(path)
        about = json.loads((place / ABOUT).read_text())
        store, ranker = FeatureStore.load(place / STORE), XGBoostRanker.load(place, RANKER)
        model = cls(store, Recommender(store, ranker, **about["rules"]))
        names = model.feature_names_in_.tolist()
        if ranker.feature_names != names:
            raise ArtifactError(
                f"'{path}' holds a ranker of {ranker.feature_names} and computes {names}. "
                "Make it again: dvc repro checker."
            )
        check(ranker, Probe.load(place), path)
        replay(model.recommender, json.loads((place / GOLDEN).read_text()), path)
        return model

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Probabilities of no like and of a like, shape (n, 2).

        Args:
            rows: features, an array of shape (n, n_features) or a table with these columns.

        Raises:
            ValueError: a column is missing, or there are more or fewer.
        """
        liked = self.recommender.ranker.probability(self._matrix(rows))
        return np.stack([1 - liked, liked], axis=1)

    def predict(self, rows: Any) -> np.ndarray:
        """1 where a like is more likely than none, else 0, shape (n,)."""
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    def posts(self, user_id: Id, at: datetime, limit: int) -> list[dict[str, Any]]:
        """Id, text and topic of the best posts, best first.

        Args:
            user_id: as in the database.
            at: a moment on the database's clock; one with an offset is converted to it.
            limit: length of the list.

        Raises:
            KeyError: no user has this id.
            ValueError: the limit is not above 0.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; ask for 1 post or more")
        rows = [
            (self.store.catalogue.post(post_id), post_id)
            for post_id, _ in self.recommender.recommend(
                user_id, self.recommender.meta.local(at), limit
            )
        ]
        text, topic = self.store.text, self.store.topic
        return [{"id": post_id, "text": text[row], "topic": topic[row]} for row, post_id in rows]

    def _matrix(self, rows: Any) -> np.ndarray:
        if hasattr(rows, "columns"):
            missing = [name for name in self.feature_names_in_ if name not in rows.columns]
            if missing:
                raise ValueError(f"the table lacks the features {missing}")
            rows = rows[self.feature_names_in_.tolist()]
        matrix = np.asarray(rows, dtype=np.float32)
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features_in_:
            raise ValueError(
                f"rows have shape {matrix.shape}; give (n, {self.n_features_in_}): one column "
                "for each of 'feature_names_in_', in this order"
            )
        return np.ascontiguousarray(matrix)


def check(ranker: XGBoostRanker, probe: Probe, name: str) -> None:
    """Check that this XGBoost reads the ranker as the one that wrote it.

    Raises:
        ArtifactError: a probability differs by more than the last bits.
    """
    found = Probe.of(ranker, probe.matrix)
    if not (close(found.probability, probe.probability) and close(found.trees, probe.trees)):
        raise ArtifactError(
            f"XGBoost {xgb.__version__} misreads the ranker of '{name}': probabilities differ by "
            f"up to {np.abs(found.trees - probe.trees).max():.3f}. Make it again with this "
            "project's pins: dvc repro checker."
        )
