"""Classic baseline: static target encoding by `category_encoders` and XGBoost."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost as xgb
from category_encoders import TargetEncoder

from feedrank.features.rows import TrainingRows
from feedrank.log.metadata import hour_of_day
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Baseline

CLASSIC_ROWS, CLASSIC_TREES, CLASSIC_DEPTH = 300_000, 40, 5


@dataclass(frozen=True)
class Classic(Baseline):
    """Static target encoding and XGBoost on a random sample, as most solutions do it.

    It knows what its rows say, whatever the moment: a trained model does not move with the feed.

    Attributes:
        user: encoded profile of each user, float32, shape (n_users, n_columns).
        post: encoded topic and post, float32, shape (n_posts, 2).
        booster: on hour, user and post columns.
    """

    user: np.ndarray
    post: np.ndarray
    booster: xgb.Booster

    @property
    def n_posts(self) -> int:  # type: ignore[override]
        """Posts of the catalogue."""
        return len(self.post)

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Predicted probability."""
        return self.booster.inplace_predict(_classic_rows(self, np.full(len(post), user), post, at))

    @classmethod
    def fit(cls, store: FeatureStore, rows: TrainingRows, seed: int) -> Classic:
        """Encoders and booster on a random sample of the given rows."""
        rng = np.random.default_rng(seed)
        sample = rows[np.sort(rng.permutation(len(rows))[:CLASSIC_ROWS])]
        codes = np.asarray(store.catalogue.codes)
        topic = store.fitted.topic
        columns = list(range(codes.shape[1]))
        user = _encode(codes[sample.user], sample.liked, codes, columns)
        posts = np.stack([topic, np.arange(len(topic))], axis=1)
        post = _encode(posts[sample.post], sample.liked, posts, [0, 1])
        model = cls(user, post, xgb.Booster())
        matrix = _classic_rows(model, sample.user, sample.post, sample.at)
        train = xgb.QuantileDMatrix(matrix, label=sample.liked, nthread=1)
        settings = {"objective": "binary:logistic", "max_depth": CLASSIC_DEPTH, "eta": 0.1,
                    "seed": seed, "nthread": 1}  # fmt: skip
        return cls(user, post, xgb.train(settings, train, CLASSIC_TREES))


def _classic_rows(
    model: Classic, user: np.ndarray, post: np.ndarray, at: np.ndarray | int
) -> np.ndarray:
    hour = np.broadcast_to(np.float32(hour_of_day(np.asarray(at))), len(post))[:, None]
    return np.hstack([hour, model.user[user], model.post[post]])


def _encode(
    seen: np.ndarray, liked: np.ndarray, every: np.ndarray, columns: list[int]
) -> np.ndarray:
    if not columns:
        return np.zeros((len(every), 0), np.float32)
    names = [f"c{c}" for c in columns]
    known, all_rows = (pd.DataFrame(a.astype(str), columns=names) for a in (seen, every))
    with warnings.catch_warnings():
        # category_encoders 2.11 sets an option that pandas 3 has made the only behaviour.
        warnings.filterwarnings("ignore", "'future.no_silent_downcasting' is deprecated")
        encoder = TargetEncoder(cols=names).fit(known, liked.astype(float))
        return encoder.transform(all_rows).to_numpy(np.float32)
