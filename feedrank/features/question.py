"""Question: a batch of (user, post) pairs at one step, with the tables that features read."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from feedrank.log.metadata import hour_of_day
from feedrank.state.counts.tally import Tally
from feedrank.state.shared import SharedState
from feedrank.state.users import UserState, user_tables


class Question:
    """Pairs of a user and a post at moments of one step.

    Args:
        shared: state of posts as of the step.
        users: state of the users as of the step.
        user: row within `users`, shape (n,).
        post: row of the post, shape (n,).
        at: seconds since the log's origin, shape (n,).
    """

    def __init__(
        self,
        shared: SharedState,
        users: UserState,
        user: np.ndarray,
        post: np.ndarray,
        at: np.ndarray,
    ) -> None:
        self.shared = shared
        self.users = users
        self.post = post
        self.at = at
        distinct, self.of = np.unique(user, return_inverse=True)
        self.tables = user_tables(users, shared, distinct)
        self._user = user

    @cached_property
    def cluster(self) -> np.ndarray:
        """Cluster of each post, shape (n,)."""
        return self.users.refit.clusters.cluster[self.post]

    @cached_property
    def topic(self) -> np.ndarray:
        """Topic code of each post, shape (n,)."""
        return self.users.fitted.topic[self.post]

    @cached_property
    def segment(self) -> np.ndarray:
        """Segment of each user, shape (n,)."""
        return self.users.segment[self._user]

    @cached_property
    def cluster_log_ratio(self) -> np.ndarray:
        """Each user's log ratios, averaged over the clusters of the post in one order, (n,)."""
        total = np.zeros(len(self.post))
        # A request has one user, whose ratio is the same for all posts: .13 ms, not .24.
        of = self.of if len(self.tables.cluster) > 1 else self.of[:1]
        for cluster, probability in enumerate(self.shared.membership):
            total += self.tables.cluster[:, cluster].take(of) * probability.take(self.post)
        return total

    @cached_property
    def factor_log_ratio(self) -> np.ndarray:
        """Factors of each user times those of the post, added up in one order, shape (n,)."""
        total = np.zeros(len(self.post))
        of_post = self.users.refit.factors.post
        for factor in range(of_post.shape[1]):
            total += self.tables.factors[self.of, factor] * of_post[self.post, factor]
        return total

    @cached_property
    def hour_log_odds(self) -> np.ndarray:
        """Log-odds of liking at each hour, relative to the average, shape (n,)."""
        return self.users.fitted.encoded_hour[hour_of_day(self.at)]

    @cached_property
    def pair_counts(self) -> Tally:
        """Earlier impressions and likes of each pair, shape (n,)."""
        return self.users.pairs.before(self._user, self.post, self.shared.step)

    def codes(self, column: int) -> np.ndarray:
        """Profile codes of each user in one column, shape (n,)."""
        return self.users.codes[self._user, column]
