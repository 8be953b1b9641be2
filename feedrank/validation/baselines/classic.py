"""Classic baseline: static target encoding by `category_encoders` and XGBoost."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost as xgb
from category_encoders import TargetEncoder

from feedrank.features.rows import TrainingRows
from feedrank.log.metadata import hour_of_day
from feedrank.ranking.rankers.xgboost_trees import Trees
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Baseline

# On a network of the demo's size (seed 20), 20 to 160 trees, depths of 3 to 7 and 100,000 rows or
# more give true hit rates of .532 to .560, all below the .573 of most liked.
CLASSIC_ROWS, CLASSIC_TREES, CLASSIC_DEPTH, CLASSIC_ETA = 300_000, 40, 5, 0.1


@dataclass(frozen=True)
class Classic(Baseline):
    """Static target encoding and XGBoost on a random sample, as most solutions do it.

    A trained model: it is the same for every moment after its cutoff. A leaf holds what lies in a
    box: of hour and profile, and of the post's columns. So trees of many requests and posts are
    one product of matrices.

    Attributes:
        user: encoded profile of each user, float32, shape (n_users, n_columns).
        low: lowest hour and profile of each leaf, float32, shape (1 + n_columns, n_leaves).
        high: what these stay below, same shape.
        value: log-odds that a leaf adds, float32, shape (n_leaves,); multiples of one power of two,
            so that their sums are exact in any order.
        holds: 1 where a leaf's box holds a kind of post, else 0, float32, shape (n_leaves,
            n_kinds); posts of a kind are told apart by no tree.
        of_post: kind of each post, shape (n_posts,).
    """

    user: np.ndarray
    low: np.ndarray
    high: np.ndarray
    value: np.ndarray
    holds: np.ndarray
    of_post: np.ndarray

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Log-odds beyond the average."""
        return self.score_many(np.array([user]), np.array([at]), [post])[0]

    def score_many(
        self, users: np.ndarray, at: np.ndarray, posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Log-odds beyond the average, shape (n,) for each request."""
        hour = hour_of_day(np.asarray(at)).astype(np.float32)
        within = np.ones((len(users), len(self.value)), bool)
        for low, high, own in zip(self.low, self.high, (hour, *self.user[users].T), strict=True):
            within &= (low <= own[:, None]) & (own[:, None] < high)
        scores = np.where(within, self.value, np.float32(0)) @ self.holds
        return [score[self.of_post[own]] for score, own in zip(scores, posts, strict=True)]

    @classmethod
    def fit(cls, store: FeatureStore, rows: TrainingRows, seed: int) -> Classic:
        """Encoders and booster on a random sample of the given rows."""
        rng = np.random.default_rng(seed)
        sample = rows[np.sort(rng.permutation(len(rows))[:CLASSIC_ROWS])]
        codes, topic = np.asarray(store.catalogue.codes), store.fitted.topic
        posts = np.stack([topic, np.arange(len(topic))], axis=1)
        user = _encoded(codes, sample.user, sample.liked)
        post = _encoded(posts, sample.post, sample.liked)
        hour = hour_of_day(sample.at).astype(np.float32)[:, None]
        matrix = np.hstack([hour, user[sample.user], post[sample.post]])
        train = xgb.QuantileDMatrix(matrix, label=sample.liked, nthread=1)
        settings = {"objective": "binary:logistic", "max_depth": CLASSIC_DEPTH, "eta": CLASSIC_ETA,
                    "seed": seed, "nthread": 1}  # fmt: skip
        model = json.loads(xgb.train(settings, train, CLASSIC_TREES).save_raw("json"))
        leaves = Trees(model).leaves(matrix.shape[1])
        (low, post_low), (high, post_high) = (np.split(x, [-2], axis=1) for x in leaves[:2])
        kind, of_post = _kinds(post_low, post)
        holds = ((post_low[:, None] <= kind) & (kind < post_high[:, None])).all(axis=2)
        unit = np.spacing(CLASSIC_TREES * np.abs(leaves.value).max())
        value = np.round(leaves.value / unit) * unit
        low, high = (np.ascontiguousarray(bound.T) for bound in (low, high))
        return cls(user, low, high, value, np.asarray(holds, np.float32), of_post)


def _kinds(low: np.ndarray, post: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posts of which each stands for those between the same splits, and which does for each post.

    On the demo 950 of 7,000.
    """
    splits = [np.unique(column) for column in low.T]
    columns = zip(splits, post.T, strict=True)
    place = [np.searchsorted(split, values, side="right") for split, values in columns]
    _, first, of = np.unique(np.stack(place, 1), axis=0, return_index=True, return_inverse=True)
    return post[first], of.ravel()


def _encoded(codes: np.ndarray, row: np.ndarray, liked: np.ndarray) -> np.ndarray:
    """Codes of all units, encoded by the likes of some of their rows, float32, same shape."""
    if not codes.shape[1]:
        return np.zeros(codes.shape, np.float32)
    every = pd.DataFrame(codes).add_prefix("c")
    known = every.iloc[row].reset_index(drop=True)
    with warnings.catch_warnings():
        # category_encoders 2.11 sets an option that pandas 3 has made the only behaviour.
        warnings.filterwarnings("ignore", "'future.no_silent_downcasting' is deprecated")
        encoder = TargetEncoder(cols=list(every)).fit(known, liked.astype(float))
        return encoder.transform(every).to_numpy(np.float32)
