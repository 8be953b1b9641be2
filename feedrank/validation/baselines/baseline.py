"""Baseline: the interface of the methods that our ranker is compared with, and a random one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from feedrank.ranking.recommender import Ranked
from feedrank.ranking.top_k import best_rows


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


@dataclass(frozen=True)
class Random(Baseline):
    """A uniformly random order, seeded by user and moment, so that it repeats."""

    n_posts: int
    seed: int

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Uniform numbers."""
        return np.random.default_rng((self.seed, user, at)).random(len(post))
