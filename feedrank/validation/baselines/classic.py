"""Classic baseline: static target encoding by `category_encoders` and XGBoost."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xgboost as xgb
from category_encoders import TargetEncoder

from feedrank.features.rows import TrainingRows
from feedrank.log.metadata import hour_of_day
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Baseline

# On a network of the demo's size (seed 20), 20 to 160 trees, depths of 3 to 7 and 100,000 rows or
# more give true hit rates of .532 to .560, all below the .573 of most liked.
CLASSIC_ROWS, CLASSIC_TREES, CLASSIC_DEPTH, CLASSIC_ETA = 300_000, 40, 5, 0.1


@dataclass(frozen=True)
class Classic(Baseline):
    """Static target encoding and XGBoost on a random sample, as most solutions do it.

    A trained model: it is the same for every moment after its cutoff.

    Attributes:
        user: encoded profile of each user, float32, shape (n_users, n_columns).
        kind: encoded topic and post of the posts that no tree tells apart, float32, shape
            (n_kinds, 2).
        of_post: kind of each post, shape (n_posts,).
        booster: on hour, user and post columns.
        n_posts: of the catalogue.
    """

    user: np.ndarray
    kind: np.ndarray
    of_post: np.ndarray
    booster: xgb.Booster
    n_posts: int
    _last: dict[bytes, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Predicted probability."""
        return self.score_many(np.array([user]), np.array([at]), [post])[0]

    def score_many(
        self, users: np.ndarray, at: np.ndarray, posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Predicted probabilities, by one call of XGBoost."""
        scores = zip(self._scores(users, at), posts, strict=True)
        return [score[self.of_post[own]] for score, own in scores]

    def _scores(self, users: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Of each kind of post, shape (n, n_kinds); kept, since replay asks the same ones twice."""
        key = users.tobytes() + at.tobytes()
        if key not in self._last:
            n, n_kinds = len(users), len(self.kind)
            of_user, of_kind = np.repeat(np.arange(n), n_kinds), np.tile(np.arange(n_kinds), n)
            matrix = _columns(at[of_user], self.user[users[of_user]], self.kind[of_kind])
            self._last.clear()
            self._last[key] = self.booster.inplace_predict(matrix).reshape(n, n_kinds)
        return self._last[key]

    @classmethod
    def fit(cls, store: FeatureStore, rows: TrainingRows, seed: int) -> Classic:
        """Encoders and booster on a random sample of the given rows."""
        rng = np.random.default_rng(seed)
        sample = rows[np.sort(rng.permutation(len(rows))[:CLASSIC_ROWS])]
        codes, topic = np.asarray(store.catalogue.codes), store.fitted.topic
        posts = np.stack([topic, np.arange(len(topic))], axis=1)
        user = _encoded(codes, sample.user, sample.liked)
        post = _encoded(posts, sample.post, sample.liked)
        matrix = _columns(sample.at, user[sample.user], post[sample.post])
        train = xgb.QuantileDMatrix(matrix, label=sample.liked, nthread=1)
        settings = {"objective": "binary:logistic", "max_depth": CLASSIC_DEPTH, "eta": CLASSIC_ETA,
                    "seed": seed, "nthread": 1}  # fmt: skip
        booster = xgb.train(settings, train, CLASSIC_TREES)
        return cls(user, *_kinds(booster, post), booster, len(post))


def _kinds(booster: xgb.Booster, post: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posts of which each stands for those between the same splits, and which does for each post.

    The posts' columns are the trees' last ones. On the demo 950 of 7,000, in a fifth of the time.
    """
    model = json.loads(bytes(booster.save_raw("json")))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    columns = ("split_indices", "split_conditions", "left_children")
    column, split, child = (np.concatenate([tree[c] for tree in trees]) for c in columns)
    place = []
    for number, values in enumerate(post.T, booster.num_features() - post.shape[1]):
        splits = np.sort(split[(column == number) & (child >= 0)].astype(np.float32))
        place.append(np.searchsorted(splits, values, side="right"))
    _, first, of = np.unique(np.stack(place, 1), axis=0, return_index=True, return_inverse=True)
    return post[first], of.ravel()


def _columns(at: np.ndarray | int, user: np.ndarray, post: np.ndarray) -> np.ndarray:
    """Hour of the day, encoded profile and encoded post, shape (n, 3 + n_columns)."""
    hour = np.broadcast_to(np.float32(hour_of_day(np.asarray(at))), len(post))
    return np.hstack([hour[:, None], user, post])


def _encoded(codes: np.ndarray, row: np.ndarray, liked: np.ndarray) -> np.ndarray:
    """Codes of all units, encoded by the likes of some of their rows, float32, same shape."""
    if not codes.shape[1]:
        return np.zeros(codes.shape, np.float32)
    every = pd.DataFrame(codes.astype(str)).add_prefix("c")
    known = every.iloc[row].reset_index(drop=True)
    with warnings.catch_warnings():
        # category_encoders 2.11 sets an option that pandas 3 has made the only behaviour.
        warnings.filterwarnings("ignore", "'future.no_silent_downcasting' is deprecated")
        encoder = TargetEncoder(cols=list(every)).fit(known, liked.astype(float))
        return encoder.transform(every).to_numpy(np.float32)
