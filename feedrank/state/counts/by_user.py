"""Counts with the user in the key: by cluster of posts, and by pair of user and post."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from feedrank.state.counts.tally import Tally, smallest_uint


class UserCounts:
    """Impressions and likes of a few users by cluster of posts, updated step after step.

    A grouping is one partition of the posts, such as clusters or topics. Training updates with a
    whole bucket's users step by step, serving with one user's history at once: the counts are
    integers, so both arrive at the same numbers.

    Args:
        n_users: users, counted from 0.
        groupings: by name, the part that each post is in and the number of parts.
    """

    def __init__(self, n_users: int, groupings: dict[str, tuple[np.ndarray, int]]) -> None:
        self.n_users = n_users
        self._groupings = groupings
        self._tallies = {
            name: Tally(*np.zeros((2, n_users * n), dtype=np.int64))
            for name, (_, n) in groupings.items()
        }

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Add impressions; `user` counts from 0 within these users."""
        for name, (part, n) in self._groupings.items():
            key = user.astype(np.int64) * n + part[post]
            self._tallies[name].add(key, liked)

    def of(self, grouping: str) -> Tally:
        """Counts by user and part, int64, shape (n_users, n_parts)."""
        return self._tallies[grouping].reshape(self.n_users, self._groupings[grouping][1])


class PairCounts:
    """Impressions and likes of each pair of user and post, as of any step.

    Args:
        user: of each impression, shape (n,).
        post: row of the post, shape (n,).
        step: of the impression, shape (n,).
        liked: 0 or 1, shape (n,).
        n_posts: posts of the catalogue.
    """

    def __init__(
        self, user: np.ndarray, post: np.ndarray, step: np.ndarray, liked: np.ndarray, n_posts: int
    ) -> None:
        self._rows = user, post, step, liked
        self._n_posts = n_posts

    @cached_property
    def _n_steps(self) -> int:
        return int(self._rows[2].max(initial=0)) + 1

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys in order, and the likes before each; made when asked for."""
        key, liked = self._key(*self._rows[:3]), self._rows[3]
        order = np.argsort(key, kind="stable")
        return key[order], np.concatenate([[0], np.cumsum(liked[order], dtype=np.int64)])

    def before(self, user: np.ndarray, post: np.ndarray, step: int) -> Tally:
        """Impressions and likes of each pair strictly before a step, int64, of the pairs' shape."""
        keys, likes = self._sorted
        first = np.searchsorted(keys, self._key(user, post, 0))
        last = np.searchsorted(keys, self._key(user, post, min(max(step, 0), self._n_steps)))
        return Tally(last - first, likes[last] - likes[first])

    @cached_property
    def _by_user(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows by user and step, and the key (user, step) of each of them."""
        user, _, step, _ = self._rows
        # Stable, so that a user's rows stay in order of time; 16 bits are sorted by radix.
        order = np.argsort(user.astype(smallest_uint(int(user.max(initial=0)))), kind="stable")
        return order, user[order].astype(np.int64) * (self._n_steps + 1) + step[order]

    def latest(
        self, users: np.ndarray, before: int, windows: np.ndarray, part: np.ndarray, n_parts: int
    ) -> Tally:
        """Counts of some users by part of the posts in the last steps before a step.

        Args:
            users: ascending, each once, shape (n,).
            before: the step.
            windows: numbers of steps, ascending.
            part: of each post.
            n_parts: number of parts.

        Returns:
            int64, shape (len(windows), n, n_parts).
        """
        order, key = self._by_user
        within = np.clip([before - windows[-1], before], 0, self._n_steps)[:, None]
        begin, end = np.searchsorted(key, users * (self._n_steps + 1) + within)
        n = end - begin
        rows = order[np.repeat(begin - np.cumsum(n) + n, n) + np.arange(n.sum())]
        _, post, step, liked = (column[rows] for column in self._rows)
        window = np.searchsorted(windows, before - step.astype(np.int64))  # shortest that holds it
        place = np.repeat(np.arange(len(users)), n)
        cell = (window * len(users) + place) * n_parts + part[post]
        shape = (len(windows), len(users), n_parts)
        counts = (
            np.bincount(cell[which], minlength=math.prod(shape)).reshape(shape).cumsum(0)
            for which in (slice(None), liked > 0)
        )
        return Tally(*counts)

    @cached_property
    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Key `user * n_posts + post` of each pair once, ascending, and the pair of each row."""
        user, post = self._rows[:2]
        return np.unique(user.astype(np.int64) * self._n_posts + post, return_inverse=True)

    @property
    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """User and post of each pair once, in order, shape (n_pairs,)."""
        return np.divmod(self._distinct[0], self._n_posts)

    def of_distinct(self, before: int) -> Tally:
        """Counts of the pairs of `distinct` strictly before a step, int64, shape (n_pairs,)."""
        key, pair = self._distinct
        _, _, step, liked = self._rows
        is_known = step < before
        rows = pair[is_known], pair[is_known & (liked > 0)]
        return Tally(*(np.bincount(of_row, minlength=len(key)) for of_row in rows))

    def _key(self, user: np.ndarray, post: np.ndarray, step: np.ndarray | int) -> np.ndarray:
        pair = user.astype(np.int64) * self._n_posts + post
        return pair * (self._n_steps + 1) + step
