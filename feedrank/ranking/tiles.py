"""Tiles: candidates that are alike, a few dozen at a time, and how high their log-odds can be.

A list holds a few posts. What no post of a tile can exceed is told for all tiles at once, and only
tiles above the list's last place are looked into: the threshold algorithm (Fagin et al. 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from feedrank.features.question import Grid, Question
from feedrank.state.counts.tally import Tally
from feedrank.state.shared import SharedState
from feedrank.state.users import UserState, UserTables

TILE = 32  # posts at most


@dataclass(frozen=True)
class Tiles:
    """Candidates of a state, in an order in which neighbours are alike.

    All posts of a tile share their cluster and topic.

    Attributes:
        post: rows, tile after tile, shape (n,).
        edges: where each tile begins, and the last one ends, shape (n_tiles + 1,).
        of_post: tile of each post of the catalogue, `n_tiles` of others, shape (n_posts,).
        highest: of the part of the sum that a segment's users share, float64, shape (n_segments,
            n_tiles).
        membership: lowest and highest probability of each cluster, shape (2, n_clusters, n_tiles).
        factors: lowest and highest of each factor, shape (2, n_factors, n_tiles).
    """

    post: np.ndarray
    edges: np.ndarray
    of_post: np.ndarray
    highest: np.ndarray
    membership: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(
        cls, post: np.ndarray, shared: SharedState, topic: np.ndarray, of_segments: np.ndarray
    ) -> Tiles:
        """Tiles of some posts, one at least.

        Args:
            post: rows.
            shared: state of posts.
            topic: of each post of the catalogue.
            of_segments: part of the sum, shape (n_segments, n_posts).
        """
        cluster = shared.refit.clusters.cluster
        post = post[np.lexsort((-of_segments.mean(0)[post], topic[post], cluster[post]))]
        is_new = (np.diff(cluster[post], prepend=-1) != 0) | (np.diff(topic[post], prepend=-1) != 0)
        cell = np.flatnonzero(is_new)
        place = np.arange(len(post)) - np.repeat(cell, np.diff(cell, append=len(post)))
        first = np.flatnonzero(place % TILE == 0)
        of_post = np.full(len(topic), len(first))
        of_post[post] = np.repeat(np.arange(len(first)), np.diff(first, append=len(post)))

        def extremes(table: np.ndarray) -> np.ndarray:
            sides = (np.minimum, np.maximum)
            return np.stack([side.reduceat(table[:, post], first, axis=1) for side in sides])

        return cls(
            post,
            np.append(first, len(post)),
            of_post,
            extremes(of_segments)[1],
            extremes(shared.membership),
            extremes(shared.refit.factors.post.T),
        )

    def __len__(self) -> int:
        return len(self.edges) - 1

    def highest_of(self, pairs: Question, values: np.ndarray) -> np.ndarray:
        """The highest value of each user's pairs by tile, 0 at least, shape (n_users, n_tiles).

        Args:
            pairs: of users and posts, any other of which has 0.
            values: of the pairs.
        """
        found = np.zeros((len(pairs.tables.users), len(self) + 1))
        np.maximum.at(found, (pairs.of, self.of_post[pairs.post]), values)
        return found[:, :-1]

    def posts(self, tiles: np.ndarray) -> np.ndarray:
        """Rows of the posts of some tiles."""
        first, end = self.edges[tiles].tolist(), self.edges[tiles + 1].tolist()
        return np.concatenate([self.post[:0], *(self.post[i:j] for i, j in zip(first, end))])


def highest(bounds: np.ndarray, least: float, n: int) -> np.ndarray:
    """The `n` highest of the bounds that are not below the least, their numbers in any order."""
    found = np.flatnonzero(bounds >= least)
    return found if len(found) <= n else found[np.argpartition(-bounds[found], n - 1)[:n]]


class Extremes(Grid):
    """All pairs of some users and tiles: of what each pair has, the highest values or the lowest.

    Args:
        shared: state of posts as of the step.
        users: state of the users as of the step, all of whom ask.
        at: seconds since the log's origin, shape (n_users,).
        tables: of the users.
        tiles: of the state.
        are_highest: or lowest.
    """

    def __init__(
        self,
        shared: SharedState,
        users: UserState,
        at: np.ndarray,
        tables: UserTables,
        tiles: Tiles,
        are_highest: bool,
    ) -> None:
        super().__init__(shared, users, tiles.post[tiles.edges[:-1]], at, tables)
        self._tiles, self._are_highest = tiles, are_highest

    @cached_property
    def cluster_log_ratio(self) -> np.ndarray:
        """As of pairs, of the grid's shape."""
        return self._extreme(self.tables.cluster, self._tiles.membership)

    @cached_property
    def factor_log_ratio(self) -> np.ndarray:
        """As of pairs, of the grid's shape."""
        return self._extreme(self.tables.factors, self._tiles.factors)

    @cached_property
    def word_log_ratio(self) -> np.ndarray:
        """As of pairs, of the grid's shape; that of every post, since words are many."""
        total = np.zeros((), np.float32)
        for word in self.users.refit.words.rows:
            total = total + self.tables.word.take(word[self._tiles.post], axis=1)
        side = np.maximum if self._are_highest else np.minimum
        return side.reduceat(total, self._tiles.edges[:-1], axis=1) if total.ndim else total

    def _extreme(self, of_users: np.ndarray, of_tiles: np.ndarray) -> np.ndarray:
        low, high = of_tiles if self._are_highest else of_tiles[::-1]
        return np.asarray(np.maximum(of_users, 0) @ high + np.minimum(of_users, 0) @ low)

    def _pair_counts(self, step: int) -> Tally:
        raise NotImplementedError("counts of pairs have no extremes: their features are `SHOWN`")
