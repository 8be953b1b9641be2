"""EASE baseline: posts by their closed-form similarity to the posts that the user liked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.als import likes_before
from feedrank.validation.baselines.baseline import Stepped

MOST_POSTS = 4_000  # the most liked ones: their matrix is inverted, which takes seconds
# Not searched: of the order of the likes of a post, below the 500 that Steck found best on logs
# with hundreds of likes a post.
RIDGE = 100.0


@dataclass(frozen=True)
class EaseWeights:
    """Weights of liked posts (rows) for posts (columns), a diagonal of 0.

    H. Steck, *Embarrassingly shallow autoencoders for sparse data*, 2019: B = I - P / diag(P),
    where P inverts the Gram matrix of likes plus a ridge.

    Attributes:
        place: row of each post, -1 for posts without weights, shape (n_posts,).
        weight: float32, shape (n, n + 1); the last column is 0.
    """

    place: np.ndarray
    weight: np.ndarray

    @classmethod
    def fit(cls, store: FeatureStore, step: int) -> EaseWeights:
        """From all likes before a step."""
        likes = likes_before(store, step)
        likes.data[:] = 1  # liked twice is liked
        count = np.asarray(likes.sum(axis=0)).ravel()
        kept = np.sort(np.argsort(-count, kind="stable")[:MOST_POSTS])
        kept = kept[count[kept] > 0]
        some = likes[:, kept]
        gram = np.asarray((some.T @ some).todense(), dtype=np.float64)
        with threadpool_limits(1, user_api="blas"):  # more threads change the last bits
            inverse = np.linalg.inv(gram + RIDGE * np.eye(len(kept)))
        weight = -inverse / np.diag(inverse)
        np.fill_diagonal(weight, 0.0)
        place = np.full(likes.shape[1], -1)
        place[kept] = np.arange(len(kept))
        return cls(place, np.pad(weight, ((0, 0), (0, 1))).astype(np.float32))


class Ease(Stepped):
    """Sums of the weights of the posts that the user liked before the step of the request."""

    def __init__(self, store: FeatureStore, weights: EaseWeights, as_of: int | None = None) -> None:
        super().__init__(store, as_of)
        self._weights = weights

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The sum, 0 for posts without weights."""
        shown, _, is_liked = self.store.history.before(user, self.step(at))
        place = np.unique(self._weights.place[shown[is_liked.astype(bool)]])
        total = self._weights.weight[place[place >= 0]].sum(axis=0)
        return np.asarray(total[self._weights.place[post]])
