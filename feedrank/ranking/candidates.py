"""Candidate generation: first-stage log-odds of users and posts, to the bits of single pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from weakref import WeakKeyDictionary

import numpy as np

from feedrank.features.question import Grid, Question, WholeGrid
from feedrank.features.spec import CLUSTER, POST, TOPIC, USER, Feature
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.top_k import kth_highest
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.fitted import FittedParameters
from feedrank.state.past import Past
from feedrank.state.shared import SharedState
from feedrank.state.users import UserState, UserTables, user_tables

# A rough score is a sum of some 40 float32, each off by 2**-24 of itself at most: of log-odds up to
# 100, by a hundredth of this in all.
ROUGH = 2.0**-6
# Below, log-odds that differ by more than the second have different probabilities, in float32.
SATURATED, CERTAIN = 10.0, 2.0**-6
ONE = np.zeros(1, np.int64)  # any post, as of the only column of what a user has for all


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

    def pairs(self, posts: Sequence[np.ndarray]) -> Question:
        """The pairs of each of these users with posts of their own."""
        user = np.repeat(np.arange(len(self.at)), [len(post) for post in posts])
        post, at = np.concatenate(posts), self.at[user]
        return Question(self.shared, self.users, user, post, at, self.tables)


@dataclass(frozen=True)
class Reach:
    """Which posts the trees can still lift into a list, given their first-stage log-odds.

    Attributes:
        k: length of the list.
        spread: by how much more the trees can lift one post than another; inf if that is unknown.
    """

    k: int
    spread: float

    def rows(self, log_odds: np.ndarray, n_kept: int, slack: float = 0.0) -> np.ndarray:
        """Rows of the `n_kept` highest, and those that tie with the last, that are within reach.

        Args:
            log_odds: of posts, shape (n,).
            n_kept: at least `k`.
            slack: by which log-odds may be lower than the true ones, compared with each other.
        """
        rows = np.arange(len(log_odds))
        if len(rows) > self.k:
            least = min(float(kth_highest(log_odds, self.k)), SATURATED)
            rows = np.flatnonzero(log_odds >= least - self.spread - CERTAIN - slack)
        if len(rows) > n_kept:
            some = log_odds[rows]
            rows = rows[some >= float(kth_highest(some, n_kept)) - slack]
        return rows


def split(values: np.ndarray, posts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Values of pairs, by user."""
    ends = accumulate(map(len, posts))
    return [values[end - len(post) : end] for post, end in zip(posts, ends)]


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
        self._of_topics = _one_of_each(fitted.topic)
        self._of_clusters = {r.first_step: _one_of_each(r.clusters.cluster) for r in fitted.refits}

    def cut(
        self, requests: StepRequests, posts: Sequence[np.ndarray], n_kept: int, reach: Reach
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The best posts of each user that can still come into the list, and their log-odds.

        Args:
            requests: of the users.
            posts: sorted rows that each may be shown.
            n_kept: how many are kept at most, beside those that tie with the last of them.
            reach: of the trees that follow.
        """
        parts = self.parts(requests)
        kept = list(posts)
        if max(map(len, posts), default=0) > n_kept:
            rough = self.log_odds(requests.whole(), parts)
            kept = [
                post[reach.rows(own if len(post) == len(own) else own.take(post), n_kept, ROUGH)]
                for own, post in zip(rough, posts)
            ]
        exact = split(self.log_odds(requests.pairs(kept), parts), kept)
        rows = [reach.rows(own, n_kept) for own in exact]
        return [p[r] for p, r in zip(kept, rows)], [own[r] for own, r in zip(exact, rows)]

    def parts(self, requests: StepRequests) -> dict[str, np.ndarray]:
        """The parts of the sum that many pairs share, by grain.

        Shapes are (n_segments, n_posts), (n_users, n_clusters), (n_users, n_topics), (n_users, 1).
        """
        of_clusters = self._of_clusters[requests.shared.refit.first_step]
        one_of_each = {CLUSTER: of_clusters, TOPIC: self._of_topics, USER: ONE}
        parts = {POST: self._of_posts(requests.shared)}
        for grain, post in one_of_each.items():
            of_users = self._part(grain, requests.grid(post))
            parts[grain] = np.broadcast_to(of_users, (len(requests.at), len(post)))
        return parts

    def log_odds(self, pairs: Question, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log-odds of pairs, one by one or of a grid, float32; `parts` are of their users."""
        cells = {
            POST: (pairs.segment, pairs.post),
            CLUSTER: (pairs.of, pairs.cluster),
            TOPIC: (pairs.of, pairs.topic),
            USER: (pairs.of, ONE),
        }

        def part(grain: str) -> np.ndarray:
            if grain in cells:
                return pairs.cell(parts[grain], *cells[grain])
            return self._part(grain, pairs)

        return self._first_stage.total(part, np.broadcast_shapes(pairs.of.shape, pairs.post.shape))

    def _part(self, grain: str, pairs: Question) -> np.ndarray:
        return self._first_stage.part(grain, lambda column: self._features[column].read(pairs))

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
