"""Candidate generation: first-stage log-odds of users and posts, to the bits of single pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from feedrank.features.question import Grid
from feedrank.features.spec import CLUSTER, POST, TOPIC, Feature
from feedrank.ranking.first_stage import FirstStage
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.fitted import FittedParameters
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


class CandidateGenerator:
    """The posts whose first-stage log-odds are the highest.

    The part that a segment's users share is added up once a state, for all posts; a user's part of
    a cluster or topic once, for one of its posts.

    Args:
        features: in the order of the matrix.
        first_stage: of these features.
        fitted: parameters of the states.
    """

    def __init__(
        self, features: Sequence[Feature], first_stage: FirstStage, fitted: FittedParameters
    ) -> None:
        self._features, self._first_stage, self._fitted = features, first_stage, fitted
        # 56 kB a segment at the reference size; a state that is forgotten takes its table along.
        self._tables: WeakKeyDictionary[SharedState, np.ndarray] = WeakKeyDictionary()

    def cut(
        self, requests: StepRequests, posts: Sequence[np.ndarray], n_kept: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The best posts of each user, and their log-odds.

        Args:
            requests: of the users.
            posts: sorted rows that each may be shown.
            n_kept: how many are kept, beside those that tie with the last of them.
        """
        place = np.zeros(self._fitted.n_posts, dtype=np.int64)
        for post in posts:
            place[post] = 1
        every = np.flatnonzero(place)
        place[every] = np.arange(len(every))
        kept, log_odds = [], []
        for score, post in zip(self.log_odds(requests, every), posts):
            own = score if len(post) == len(score) else score.take(place[post])
            if len(post) > n_kept:
                threshold = -np.partition(-own, n_kept - 1)[n_kept - 1]
                best = np.flatnonzero(own >= threshold)
                post, own = post[best], own[best]
            kept.append(post)
            log_odds.append(own)
        return kept, log_odds

    def log_odds(self, requests: StepRequests, post: np.ndarray) -> np.ndarray:
        """Log-odds, float32, shape (n_users, len(post)), of rows of posts."""
        of_posts, grid = self._of_posts(requests.shared), requests.grid(post)
        part_of = {CLUSTER: requests.shared.refit.clusters.cluster, TOPIC: self._fitted.topic}

        def part(grain: str) -> np.ndarray:
            if grain == POST:
                return of_posts[requests.users.segment].take(post, axis=1)
            if grain not in part_of:
                return self._part(grain, grid)
            one_of_each = requests.grid(_one_of_each(part_of[grain]))
            return self._part(grain, one_of_each).take(part_of[grain][post], axis=1)

        return self._first_stage.total(part, (len(requests.at), len(post)))

    def _part(self, grain: str, grid: Grid) -> np.ndarray:
        return self._first_stage.part(grain, lambda column: self._features[column].read(grid))

    def _of_posts(self, shared: SharedState) -> np.ndarray:
        table = self._tables.get(shared)
        if table is None:
            table = self._tables[shared] = self._table(shared)
        return table

    def _table(self, shared: SharedState) -> np.ndarray:
        """The part of each segment and post, shape (n_segments, n_posts)."""
        fitted, nobody = self._fitted, np.zeros(0, np.int64)
        codes = np.zeros((fitted.n_segments, len(fitted.column_codes)), np.int64)
        if fitted.segment_column >= 0:
            codes[:, fitted.segment_column] = np.arange(fitted.n_segments)
        pairs = PairCounts(nobody, nobody, nobody, nobody, fitted.n_posts)
        one_of_each = UserState(fitted, shared.refit, codes, pairs)
        requests = StepRequests.of(shared, one_of_each, np.zeros(fitted.n_segments, np.int64))
        part = self._part(POST, requests.grid(np.arange(fitted.n_posts)))
        return np.broadcast_to(part, (fitted.n_segments, fitted.n_posts))


def _one_of_each(part_of: np.ndarray) -> np.ndarray:
    """A post of each cluster or topic; of one without posts any, since nobody asks for it."""
    one = np.zeros(int(part_of.max()) + 1, np.int64)
    one[part_of] = np.arange(len(part_of))
    return one
