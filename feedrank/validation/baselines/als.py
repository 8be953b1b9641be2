"""A baseline: alternating least squares on likes, by the optional library `implicit`."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Baseline

N_FACTORS, REGULARIZATION, ITERATIONS, ALPHA = 32, 1.0, 15, 10.0


def has_implicit() -> bool:
    """Whether `implicit` is installed (`requirements-extra.txt`)."""
    return importlib.util.find_spec("implicit") is not None


@dataclass(frozen=True)
class Factors(Baseline):
    """Orders posts by the product of factors; what was never liked has none.

    It knows the likes that it was fitted on, whatever the moment.

    Attributes:
        user: float32, shape (n_users, n_factors).
        post: float32, shape (n_posts, n_factors).
    """

    user: np.ndarray
    post: np.ndarray

    @property
    def n_posts(self) -> int:  # type: ignore[override]
        """Posts of the catalogue."""
        return len(self.post)

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The product, whatever the moment."""
        return self.post[post] @ self.user[user]

    @classmethod
    def fit(cls, store: FeatureStore, step: int, seed: int) -> Factors:
        """From all likes before a step."""
        from implicit.cpu.als import AlternatingLeastSquares

        with threadpool_limits(1, user_api="blas"):  # more threads change the last bits
            model = AlternatingLeastSquares(
                factors=N_FACTORS,
                regularization=REGULARIZATION,
                alpha=ALPHA,
                iterations=ITERATIONS,
                num_threads=1,
                random_state=seed,
            )
            model.fit(_likes(store, step), show_progress=False)
        return cls(np.asarray(model.user_factors), np.asarray(model.item_factors))


def _likes(store: FeatureStore, step: int) -> csr_matrix:
    history = store.history
    n_shown = np.diff(history.offsets)
    liked = np.unpackbits(np.asarray(history.liked))[: len(history.post)].astype(bool)
    kept = np.flatnonzero(liked & (np.asarray(history.step) < step))
    user = np.repeat(np.arange(len(n_shown)), n_shown)[kept]
    shape = (len(n_shown), len(store.catalogue.post_ids))
    return csr_matrix((np.ones(len(kept), np.float32), (user, history.post[kept])), shape)
