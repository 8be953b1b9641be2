"""Decayed popularity: posts by likes that weigh half as much after each half-life."""

from __future__ import annotations

import numpy as np

from feedrank.state.feature_store import FeatureStore
from feedrank.validation.baselines.baseline import Popularity

HALF_LIVES = (1, 2, 5, 12, 24, 72, 168, 720, 8760)  # hours that are tried; the last: no decay
FORGOTTEN = 30  # half-lives after which a like is left out: it weighs less than 1e-9
K = 5  # length of the lists that the half-life is chosen by


class DecayedLikes(Popularity):
    """Decayed likes before each moment's step, the same order for everyone.

    Args:
        store: whose histories are read.
        half_life: in steps.
        as_of: seconds since the log's origin at which the likes are frozen; None: they are fresh.
    """

    def __init__(self, store: FeatureStore, half_life: float, as_of: int | None = None) -> None:
        super().__init__(store, np.zeros(len(store.catalogue.user_ids), np.int64), as_of)
        self._likes = _likes_by_step(store)
        self._half_life = half_life

    def scores(self, step: int) -> np.ndarray:
        """The decayed number of likes, shape (1, n_posts)."""
        return decayed(*self._likes, step, self._half_life, self.n_posts)[None]


def decayed(
    step: np.ndarray, post: np.ndarray, now: int, half_life: float, n_posts: int
) -> np.ndarray:
    """Likes before a step, each weighed by its age, shape (n_posts,).

    Args:
        step: of each like, ascending.
        post: of each like.
        now: likes of this step or later do not count.
        half_life: in steps.
        n_posts: of the catalogue.
    """
    first, last = np.searchsorted(step, [now - FORGOTTEN * half_life, now])
    weight = 0.5 ** ((now - step[first:last].astype(np.float64)) / half_life)
    return np.bincount(post[first:last], weight, n_posts)


def choose_half_life(store: FeatureStore, cutoff: int, n_steps: int) -> float:
    """Half-life in steps that orders the requests of the last steps before a cutoff best.

    Args:
        store: whose histories are read.
        cutoff: step; nothing of it or later is read.
        n_steps: before the cutoff, whose requests are judged by `hit_rate`.
    """
    hours = store.fitted.step_seconds / 3600
    user, post, step, liked = store.history.columns()
    late = np.flatnonzero((step >= cutoff - n_steps) & (step < cutoff))
    late = late[np.argsort(step[late], kind="stable")]
    steps, starts = np.unique(step[late], return_index=True)
    parts = np.split(post[late], starts)[1:]
    request = user[late] * (int(cutoff) + 1) + step[late]
    likes, n_posts = _likes_by_step(store), len(store.catalogue.post_ids)
    tried = [h / hours for h in HALF_LIVES if h >= hours / 2]
    rates = []
    for half_life in tried:
        scores = [
            decayed(*likes, int(now), half_life, n_posts)[shown]
            for now, shown in zip(steps, parts, strict=True)
        ]
        rates.append(hit_rate(request, np.concatenate([[], *scores]), liked[late]))
    return tried[int(np.argmax(rates))]  # the shortest of equals


def hit_rate(request: np.ndarray, score: np.ndarray, liked: np.ndarray) -> float:
    """Share of requests of more than K impressions whose K best hold a like; 0 for none."""
    order = np.lexsort((-score, request))
    _, starts, sizes = np.unique(request[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    hits = np.add.reduceat(liked[order] & (place < K), starts) if len(order) else sizes
    return float((hits[sizes > K] > 0).mean()) if (sizes > K).any() else 0.0


def _likes_by_step(store: FeatureStore) -> tuple[np.ndarray, np.ndarray]:
    """Step and post of every like, by step."""
    _, post, step, liked = store.history.columns()
    step, post = step[liked], post[liked]
    order = np.argsort(step, kind="stable")
    return step[order].astype(np.int64), post[order]
