"""LightGBM baselines: trees on plain counts, for likes or for the order within requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Stepped
from feedrank.validation.baselines.peer_features import PeerFeatures

# Usual values, not searched. The number of trees is chosen by the latest tenth of the requests.
SETTINGS: dict[str, Any] = {
    "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100, "feature_fraction": 0.8,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 10.0, "deterministic": True,
    "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
OBJECTIVES = {"lightgbm_binary": "binary", "lightgbm_rank": "lambdarank"}
METRICS = {"binary": "binary_logloss", "lambdarank": "ndcg"}
TREES, PATIENCE, LATE_SHARE = 500, 30, 0.1
MOST_REQUESTS = 20_000  # some 500,000 rows on the demo, as many as our own trees have


@dataclass(frozen=True)
class PeerRows:
    """Features of past requests, in order of time.

    Attributes:
        matrix: float32, shape (n, n_features).
        liked: shape (n,).
        sizes: impressions of each request, shape (n_requests,).
        categories: columns that are codes.
    """

    matrix: np.ndarray
    liked: np.ndarray
    sizes: np.ndarray
    categories: list[int]

    @classmethod
    def of(cls, store: FeatureStore, since: int, cutoff: int, seed: int) -> PeerRows:
        """A random sample of the requests of [since, cutoff), in steps, each as of its own step."""
        user, post, step, liked = store.history.columns()
        kept = np.flatnonzero((step >= since) & (step < cutoff))
        request = step[kept].astype(np.int64) * len(store.catalogue.user_ids) + user[kept]
        names = np.unique(request)
        some = np.random.default_rng(seed).permutation(names)[:MOST_REQUESTS]
        kept = kept[chosen := np.isin(request, some)]
        kept = kept[np.argsort(request[chosen], kind="stable")]
        ordered = np.sort(request[chosen])
        _, starts, sizes = np.unique(ordered, return_index=True, return_counts=True)
        features, seconds = PeerFeatures(store), store.fitted.step_seconds
        parts = [
            # The hour is that of the middle of the step: histories keep no finer time.
            features.matrix(int(user[i]), int(step[i]) * seconds + seconds // 2, int(step[i]), p)
            for i, p in zip(kept[starts], np.split(post[kept], starts[1:]), strict=True)
        ]
        return cls(np.concatenate(parts), liked[kept], sizes, features.categories)


def fit_lightgbm(rows: PeerRows, objective: str, threads: int, seed: int) -> str:
    """Trees as LightGBM's text.

    Args:
        rows: of requests in order of time.
        objective: 'binary' or 'lambdarank'.
        threads: fixed, for equal bytes everywhere.
        seed: of the sampling of rows and columns.
    """
    import lightgbm as lgb

    n_early = int(len(rows.sizes) * (1 - LATE_SHARE))
    row = int(rows.sizes[:n_early].sum())
    settings = {
        **SETTINGS, "objective": objective, "metric": METRICS[objective], "eval_at": [5],
        "num_threads": threads, "seed": seed,
    }  # fmt: skip
    early = lgb.Dataset(
        rows.matrix[:row], rows.liked[:row], group=rows.sizes[:n_early],
        categorical_feature=rows.categories, params=settings, free_raw_data=False,
    )  # fmt: skip
    late = early.create_valid(rows.matrix[row:], rows.liked[row:], group=rows.sizes[n_early:])
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    model = lgb.train(settings, early, TREES, [late], callbacks=[stop])
    return str(model.model_to_string(num_iteration=model.best_iteration))


class LightGbm(Stepped):
    """Trees that `fit_lightgbm` grew, on features as of each request's step.

    Args:
        features: shared by the baselines that read them.
        model: LightGBM's text.
        store: whose steps count.
        as_of: seconds since the log's origin at which the state is frozen; None: it is fresh.
    """

    def __init__(
        self, features: PeerFeatures, model: str, store: FeatureStore, as_of: int | None = None
    ) -> None:
        import lightgbm as lgb

        super().__init__(store, as_of)
        self._features, self._booster = features, lgb.Booster(model_str=model)

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """LightGBM's raw score."""
        middle = at // self._seconds * self._seconds + self._seconds // 2
        matrix = self._features.matrix(user, middle, self.step(at), post)
        if not len(post):
            return np.empty(0)
        # Sums of trees are the same for any number of threads; one suits a worker.
        return np.asarray(self._booster.predict(matrix, raw_score=True, num_threads=1))
