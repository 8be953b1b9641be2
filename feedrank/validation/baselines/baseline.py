"""Baseline: the interface of the methods that our ranker is compared with, and a random one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.ranking.recommender import Ranked
from feedrank.ranking.top_k import best_rows
from feedrank.state.feature_store import FeatureStore


class Baseline(ABC):
    """An order of posts for a user and a moment; equal scores are ordered by post."""

    n_posts: int

    @abstractmethod
    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Higher is better, shape (n,); `post` holds rows of posts, shape (n,)."""

    def rank(self, user: int, at: int, k: int, candidates: np.ndarray | None = None) -> Ranked:
        """The k best of the candidates (sorted rows of posts), or of all posts."""
        post = np.arange(self.n_posts) if candidates is None else candidates
        score = self.score(user, at, post)
        best = best_rows(score, k)
        return Ranked(post[best], score[best], len(post))

    def rank_many(
        self, users: np.ndarray, at: np.ndarray, k: int, candidates: Sequence[np.ndarray]
    ) -> list[Ranked]:
        """`rank` of several requests, each with posts of their own."""
        requests = zip(users.tolist(), at.tolist(), candidates, strict=True)
        return [self.rank(user, moment, k, posts) for user, moment, posts in requests]


class Stepped(Baseline):
    """A baseline that reads the log as of the step of each request.

    Args:
        store: that is read.
        as_of: seconds since the log's origin at which the state is frozen; None: it is fresh.
    """

    def __init__(self, store: FeatureStore, as_of: int | None = None) -> None:
        self.n_posts = len(store.catalogue.post_ids)
        self.store = store
        self._seconds = store.fitted.step_seconds
        self._last_step = store.shared.n_steps if as_of is None else as_of // self._seconds

    def step(self, at: int) -> int:
        """First step that a request at that moment does not know."""
        return min(max(at // self._seconds, 0), self._last_step)


@dataclass(frozen=True)
class Random(Baseline):
    """A uniformly random order, seeded by user and moment, so that it repeats."""

    n_posts: int
    seed: int

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Uniform numbers."""
        return np.random.default_rng((self.seed, user, at)).random(len(post))
