"""Counts with the user in the key."""

from __future__ import annotations

import numpy as np

from feedrank.state.counts.tally import Tally, tally


class UserCounts:
    """Impressions and likes of a few users by cluster of posts, learned step after step.

    One grouping is one partition of the posts, such as clusters or topics. Training feeds a whole
    bucket's users step by step, serving one user's history at once: the counts are integers, so
    both arrive at the same numbers.

    Args:
        n_users: users, known by their row within these.
        groupings: by name, the cluster of each post and the number of clusters; some may be empty.
    """

    def __init__(self, n_users: int, groupings: dict[str, tuple[np.ndarray, int]]) -> None:
        self.n_users = n_users
        self._groupings = {name: cluster for name, (cluster, _) in groupings.items()}
        self._n_groups = {name: n_clusters for name, (_, n_clusters) in groupings.items()}
        self._tallies = {
            name: Tally(*np.zeros((2, n_users * n), dtype=np.int64))
            for name, n in self._n_groups.items()
        }

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Learn impressions; `user` counts from 0 within these users."""
        for name, cluster in self._groupings.items():
            n_clusters = self._n_groups[name]
            key = user.astype(np.int64) * n_clusters + cluster[post]
            self._tallies[name] += tally(key, liked, self.n_users * n_clusters)

    def of(self, grouping: str) -> Tally:
        """Counts by user and cluster, int64, shape (n_users, n_clusters)."""
        return self._tallies[grouping].reshape(self.n_users, self._n_groups[grouping])


class PairCounts:
    """How often a user was shown, and liked, the very same post before.

    An index over fixed rows that answers for any step: rows of that step or later do not count.
    """

    def __init__(
        self, user: np.ndarray, post: np.ndarray, step: np.ndarray, liked: np.ndarray, n_posts: int
    ) -> None:
        self._n_posts = n_posts
        self._n_steps = int(step.max(initial=0)) + 1
        key = self._key(user, post, step)
        order = np.argsort(key, kind="stable")
        self._keys = key[order]
        self._likes = np.concatenate([[0], np.cumsum(liked[order], dtype=np.int64)])

    def before(self, user: np.ndarray, post: np.ndarray, step: int) -> Tally:
        """Earlier impressions and likes of each pair, int64, shape (n,)."""
        first = np.searchsorted(self._keys, self._key(user, post, 0))
        last = np.searchsorted(self._keys, self._key(user, post, min(step, self._n_steps)))
        return Tally(last - first, self._likes[last] - self._likes[first])

    def _key(self, user: np.ndarray, post: np.ndarray, step: np.ndarray | int) -> np.ndarray:
        pair = user.astype(np.int64) * self._n_posts + post
        return pair * (self._n_steps + 1) + step
