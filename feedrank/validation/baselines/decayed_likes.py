"""Decayed popularity: posts by likes that weigh half as much after each half-life."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.feature_store import FeatureStore
from feedrank.state.history import InteractionSample
from feedrank.validation.baselines.baseline import Popularity

HALF_LIVES = (1, 2, 5, 12, 24, 72, 168, 720, 8760)  # hours that are tried; the last: no decay
FORGOTTEN = 30  # half-lives after which a like is left out: it weighs less than 1e-9
K = 5  # length of the lists that the half-life is chosen by
# Of the histories of users, spread over all: 11,000 requests of a week at the reference size, whose
# hit rate has a standard error of .005.
MOST_IMPRESSIONS = 5_000_000


@dataclass(frozen=True)
class Likes:
    """Likes by step and post, in order of time.

    Attributes:
        step: int64, shape (n,).
        post: row, same shape.
        n_likes: of all users, float64, same shape.
        n_posts: of the catalogue.
    """

    step: np.ndarray
    post: np.ndarray
    n_likes: np.ndarray
    n_posts: int

    @classmethod
    def of(cls, store: FeatureStore) -> Likes:
        """All likes of the log."""
        counts, n_posts = store.shared.by_post, store.fitted.n_posts
        (liked,) = np.nonzero(counts.liked)  # by step, segment and post
        step = np.searchsorted(counts.offsets, liked, side="right") - 1
        cell = step * n_posts + counts.key[liked].astype(np.int64) % n_posts
        cells, of = np.unique(cell, return_inverse=True)
        step, post = np.divmod(cells, n_posts)
        return cls(step, post, np.bincount(of, counts.liked[liked]), n_posts)

    def decayed(self, now: int, half_life: float) -> np.ndarray:
        """Likes before a step, each weighed by its age, shape (n_posts,); `half_life` in steps."""
        first, last = np.searchsorted(self.step, [now - FORGOTTEN * half_life, now])
        age = now - self.step[first:last]
        weight = 0.5 ** (np.arange(age.max(initial=0) + 1) / half_life)
        likes = self.n_likes[first:last] * weight[age]
        return np.bincount(self.post[first:last], likes, self.n_posts)


class DecayedLikes(Popularity):
    """Decayed likes before each moment's step, the same order for everyone.

    Args:
        store: whose counts are read.
        half_life: in steps.
        as_of: seconds since the log's origin at which the likes are frozen; None: they are fresh.
    """

    def __init__(self, store: FeatureStore, half_life: float, as_of: int | None = None) -> None:
        super().__init__(store, np.zeros(len(store.catalogue.user_ids), np.int64), as_of)
        self._likes = Likes.of(store)
        self._half_life = half_life

    def scores(self, step: int) -> np.ndarray:
        """The decayed number of likes, shape (1, n_posts)."""
        return self._likes.decayed(step, self._half_life)[None]


def choose_half_life(store: FeatureStore, cutoff: int, n_steps: int) -> float:
    """Half-life in steps that orders the requests of the last steps before a cutoff best.

    Args:
        store: whose counts and histories are read.
        cutoff: step; nothing of it or later is read.
        n_steps: before the cutoff, whose requests are judged by `hit_rate`.
    """
    hours = store.fitted.step_seconds / 3600
    users = store.history.spread_users(cutoff, MOST_IMPRESSIONS, len(store.history.n_shown))
    sample = InteractionSample.of(store.history, users, np.zeros_like(users), cutoff)
    late = np.flatnonzero(sample.step >= cutoff - n_steps)
    late = late[np.argsort(sample.step[late], kind="stable")]
    steps, starts = np.unique(sample.step[late], return_index=True)
    parts = np.split(sample.post[late], starts)[1:]
    request = sample.user[late].astype(np.int64) * (int(cutoff) + 1) + sample.step[late]
    likes, tried = Likes.of(store), [h / hours for h in HALF_LIVES if h >= hours / 2]
    rates = []
    for half_life in tried:
        orders = zip(steps.tolist(), parts, strict=True)
        scores = [likes.decayed(now, half_life)[shown] for now, shown in orders]
        rates.append(hit_rate(request, np.concatenate([[], *scores]), sample.liked[late]))
    return tried[int(np.argmax(rates))]  # the shortest of equals


def hit_rate(request: np.ndarray, score: np.ndarray, liked: np.ndarray) -> float:
    """Share of requests of more than K impressions whose K best hold a like; 0 for none."""
    order = np.lexsort((-score, request))
    starts = np.flatnonzero(np.diff(request[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    hits = np.add.reduceat(liked[order] & (place < K), starts) if len(order) else sizes
    return float((hits[sizes > K] > 0).mean()) if (sizes > K).any() else 0.0
