"""ALS baseline: implicit-feedback matrix factorisation of likes, by the library `implicit`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Baseline

# Not searched. 15 iterations are the library's default, and those of Hu et al. alpha is less than
# their 40, since likes are rarer than plays; more factors than 32 have some 50 likes a user to fit.
N_FACTORS, REGULARIZATION, ITERATIONS, ALPHA = 32, 1.0, 15, 10.0


@dataclass(frozen=True)
class Als(Baseline):
    """Products of user and post factors; a post without a like before the step has factors of 0.

    Hu, Koren and Volinsky, *Collaborative filtering for implicit feedback datasets*, 2008. It has
    the likes that it was fitted on, whatever the moment of a request.

    Attributes:
        user: float32, shape (n_users, N_FACTORS).
        post: float32, shape (n_posts, N_FACTORS).
    """

    user: np.ndarray
    post: np.ndarray

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The product, whatever the moment."""
        return self.post[post] @ self.user[user]

    @classmethod
    def fit(cls, store: FeatureStore, step: int, seed: int) -> Als:
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
            model.fit(likes_before(store, step), show_progress=False)
        return cls(np.asarray(model.user_factors), np.asarray(model.item_factors))


def likes_before(store: FeatureStore, step: int) -> csr_matrix:
    """Number of likes before a step, shape (n_users, n_posts)."""
    user, post, of_row, liked = store.history.columns()
    kept = liked & (of_row < step)
    shape = (len(store.catalogue.user_ids), len(store.catalogue.post_ids))
    return csr_matrix((np.ones(kept.sum(), np.float32), (user[kept], post[kept])), shape)
