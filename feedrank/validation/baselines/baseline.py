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

    @abstractmethod
    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Higher is better, shape (n,); `post` holds rows of posts, shape (n,)."""

    def score_many(
        self, users: np.ndarray, at: np.ndarray, posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """`score` of several requests, each with posts of their own."""
        requests = zip(users.tolist(), at.tolist(), posts, strict=True)
        return [self.score(user, moment, own) for user, moment, own in requests]

    def rank_many(
        self, users: np.ndarray, at: np.ndarray, k: int, candidates: Sequence[np.ndarray]
    ) -> list[Ranked]:
        """The k best of the candidates (sorted rows of posts) of each request."""
        lists = []
        scores = self.score_many(users, at, candidates)
        for post, score in zip(candidates, scores, strict=True):
            best = best_rows(score, k)
            lists.append(Ranked(post[best], score[best], len(post)))
        return lists


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


class Popularity(Stepped):
    """A baseline whose order of posts is the same for all users of a group within a step.

    Args:
        store: that is read.
        group: of each user, shape (n_users,).
        as_of: as of `Stepped`.
    """

    def __init__(self, store: FeatureStore, group: np.ndarray, as_of: int | None = None) -> None:
        super().__init__(store, as_of)
        self._group, self._step = group, -1
        self._scores, self._orders = np.empty((0, 0)), dict[int, np.ndarray]()

    @abstractmethod
    def scores(self, step: int) -> np.ndarray:
        """Scores as of a step, shape (n_groups, n_posts)."""

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The group's scores as of the moment's step."""
        self._come_to(self.step(at))
        return np.asarray(self._scores[self._group[user], post])

    def rank_many(
        self, users: np.ndarray, at: np.ndarray, k: int, candidates: Sequence[np.ndarray]
    ) -> list[Ranked]:
        """As of any baseline, by one order of all posts for each step and group."""
        lists = []
        for user, moment, post in zip(users.tolist(), at.tolist(), candidates, strict=True):
            if len(post) < self.n_posts / 8:
                best = post[best_rows(self.score(user, moment, post), k)]
            else:
                order = self._order(self.step(moment), int(self._group[user]))
                best = _first_among(order, post, k)
            lists.append(Ranked(best, self.score(user, moment, best), len(post)))
        return lists

    def _order(self, step: int, group: int) -> np.ndarray:
        self._come_to(step)
        if group not in self._orders:
            self._orders[group] = np.argsort(-self._scores[group], kind="stable")
        return self._orders[group]

    def _come_to(self, step: int) -> None:
        if step != self._step:
            self._step, self._scores, self._orders = step, self.scores(step), {}


def _first_among(order: np.ndarray, posts: np.ndarray, k: int) -> np.ndarray:
    """The first k of some posts, which are sorted, at least one, in an order of all posts."""
    n = 2 * k
    while True:
        some = order[:n]  # mostly these are enough
        at = np.minimum(np.searchsorted(posts, some), len(posts) - 1)
        best = some[posts[at] == some]
        if len(best) >= k or n >= len(order):
            return best[:k]
        n *= 8


@dataclass(frozen=True)
class Random(Baseline):
    """A uniformly random order, seeded by user and moment, so that it repeats."""

    seed: int

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Uniform numbers."""
        return np.random.default_rng((self.seed, user, at)).random(len(post))
