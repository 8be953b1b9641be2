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
        self._by_post: dict[int, Tally] = {}  # tables of all posts, by step

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
        """Impressions and likes of each pair strictly before a step, int64, shape (n,)."""
        if step in self._by_post:
            return Tally(*(counts[user, post] for counts in vars(self._by_post[step]).values()))
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

    def table(
        self, n_users: int, before: int, part: np.ndarray | None = None, n_parts: int = 0
    ) -> Tally:
        """Counts of the first users by post, or by part of the posts, strictly before a step.

        Args:
            n_users: number of users.
            before: the step.
            part: of each post; None: of its own.
            n_parts: number of parts.

        Returns:
            int64, shape (n_users, n_parts).
        """
        user, post, step, liked = self._rows
        n = self._n_posts if part is None else n_parts
        cell = user.astype(np.int64) * n + (post if part is None else part[post])
        is_known = step < before
        counts = (
            np.bincount(cell[which], minlength=n_users * n).reshape(n_users, n)
            for which in (is_known, is_known & (liked > 0))
        )
        found = Tally(*counts)
        if part is None:
            self._by_post[before] = found
        return found

    def _key(self, user: np.ndarray, post: np.ndarray, step: np.ndarray | int) -> np.ndarray:
        pair = user.astype(np.int64) * self._n_posts + post
        return pair * (self._n_steps + 1) + step
