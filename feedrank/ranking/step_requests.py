"""Step requests: users and moments of one step, with the states that they are answered from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.features.question import Grid, Question, ShownPairs, WholeGrid
from feedrank.ranking.tiles import Extremes, Tiles
from feedrank.state.past import Past
from feedrank.state.shared import SharedState
from feedrank.state.users import UserState, UserTables, user_tables


@dataclass(frozen=True)
class StepRequests:
    """Requests of some users at moments of one step.

    Attributes:
        shared: state of posts as of the step.
        users: their state as of the step.
        tables: of these users.
        at: seconds since the log's origin, shape (n_users,).
        past: their impressions before the step; None: no ranker is asked.
    """

    shared: SharedState
    users: UserState
    tables: UserTables
    at: np.ndarray
    past: Past | None = None

    @classmethod
    def of(
        cls, shared: SharedState, users: UserState, at: np.ndarray, past: Past | None = None
    ) -> StepRequests:
        """All users of a state."""
        return cls(shared, users, user_tables(users, shared, np.arange(len(at))), at, past)

    def grid(self, post: np.ndarray) -> Grid:
        """All pairs of these users and some posts."""
        return Grid(self.shared, self.users, post, self.at, self.tables)

    def whole(self) -> WholeGrid:
        """All pairs of these users and all posts."""
        return WholeGrid(self.shared, self.users, self.at, self.tables)

    def shown(self) -> ShownPairs:
        """The pairs of these users and the posts that each was shown before."""
        return ShownPairs(self.shared, self.users, self.at, self.tables)

    def extremes(self, tiles: Tiles, are_highest: bool) -> Extremes:
        """All pairs of these users and tiles of posts."""
        return Extremes(self.shared, self.users, self.at, self.tables, tiles, are_highest)

    def pairs(self, posts: Sequence[np.ndarray]) -> Question:
        """The pairs of each of these users with posts of their own."""
        user = np.repeat(np.arange(len(self.at)), [len(post) for post in posts])
        post, at = np.concatenate(posts), self.at[user]
        return Question(self.shared, self.users, user, post, at, self.tables)
