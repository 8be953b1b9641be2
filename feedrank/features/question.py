"""Question: pairs of users and posts at one step, one by one or all of a grid, for features."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.state.counts.tally import Tally
from feedrank.state.plugins.pairs import Pairs
from feedrank.state.shared import SharedState
from feedrank.state.users import UserState, UserTables, user_tables


class Question(Pairs):
    """Pairs of a user and a post at moments of one step.

    Args:
        shared: state of posts as of the step.
        users: state of the users as of the step.
        user: row within `users`, shape (n,).
        post: row of the post, shape (n,).
        at: seconds since the log's origin, shape (n,).
        tables: of all `users`, in order, if they are there already.
    """

    def __init__(
        self,
        shared: SharedState,
        users: UserState,
        user: np.ndarray,
        post: np.ndarray,
        at: np.ndarray,
        tables: UserTables | None = None,
    ) -> None:
        super().__init__(users.fitted, users.codes, user, post, at)
        self.shared = shared
        self.users = users
        if tables is None:
            distinct, self.of = np.unique(user, return_inverse=True)
            self.tables = user_tables(users, shared, distinct)
        else:
            self.of, self.tables = user, tables

    @cached_property
    def cluster(self) -> np.ndarray:
        """Cluster of each post, shape (n,)."""
        return self.users.refit.clusters.cluster[self.post]

    @cached_property
    def segment(self) -> np.ndarray:
        """Segment of each user that the state knows of, shape (n,)."""
        return self.users.segment[self.user]

    def cell(self, table: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Cells of a table with rows of the users and columns of the posts, shape (n,)."""
        return np.asarray(table[row, column])

    @cached_property
    def cluster_log_ratio(self) -> np.ndarray:
        """Each user's log ratios, averaged over the clusters of the post in one order, (n,)."""
        return self._sum_of_products(self.tables.cluster.T, self.shared.membership)

    @cached_property
    def factor_log_ratio(self) -> np.ndarray:
        """Factors of each user times those of the post, added up in one order, (n,); () of none."""
        if not self.tables.factors.shape[1]:
            return np.zeros(())
        return self._sum_of_products(self.tables.factors.T, self.users.refit.factors.post.T)

    @cached_property
    def word_log_ratio(self) -> np.ndarray:
        """Log ratios of each user, added up over the post's taste words, (n,); () of none."""
        total = np.zeros((), np.float32)
        for word in self.words:
            total = total + self.cell(self.tables.word, self.of, word)
        return total

    @property
    def words(self) -> np.ndarray:
        """Taste words of each post, `TasteWords.of_post`, shape (n_words_a_post, n)."""
        return self.users.refit.words.rows[:, self.post]

    def _sum_of_products(self, of_users: np.ndarray, of_posts: np.ndarray) -> np.ndarray:
        """Sum of a user's values times the post's, added up in one order, shape (n,)."""
        total = np.zeros(np.broadcast_shapes(self.of.shape, self.post.shape))
        for of_user, of_post in zip(of_users.take(self.of, 1), of_posts.take(self.post, 1)):
            total += of_user * of_post
        return total

    @cached_property
    def hour_log_odds(self) -> np.ndarray:
        """Log-odds of liking at each hour, relative to the average, shape (n,)."""
        return self.users.fitted.encoded_hour[self.hour]

    @property
    def topic_ratio(self) -> np.ndarray:
        """Log ratio of each topic's likes by context, shape (n_contexts, n_topics + 1)."""
        return self.users.refit.topic_ratio

    @cached_property
    def pair_counts(self) -> Tally:
        """Earlier impressions and likes of each pair, shape (n,)."""
        return self._pair_counts(self.shared.step)

    def pair_impressions(self, steps: int) -> np.ndarray:
        """Impressions of each pair in the last so many steps, shape (n,)."""
        return self.pair_counts.shown - self._pair_counts(self.shared.step - steps).shown

    def _pair_counts(self, step: int) -> Tally:
        """Impressions and likes of each pair before a step, shape (n,)."""
        return self.users.pairs.before(self.user, self.post, step)

    def counts(self, name: str) -> Tally:
        """A plugin's count of everybody at each pair's own key, int64, shape (n,)."""
        return self.shared.by_key[name][self.fitted.plugins.counts[name].keys(self)]

    def user_counts(self, name: str) -> Tally:
        """Each user's own impressions and likes of the post's part, int64, shape (n,)."""
        counts, part = self.users.counts.of(name), self.fitted.plugins.parts[name][0][self.post]
        return Tally(*(self.cell(c, self.user, part) for c in (counts.shown, counts.liked)))

    def age_days(self, moment: int) -> np.ndarray:
        """Whole days of each user's moment at each request, -1 if it has not come, shape (n,)."""
        day = self.users.moments[self.user, moment].astype(np.int64)
        return np.maximum(self.at // SECONDS_A_DAY - day, -1)


class Grid(Question):
    """All pairs of some users and posts, at a moment of each user.

    What a user or a post has alone stays of shape (n_users, 1) or (n_posts,), and the features'
    bits are those of single pairs.

    Args:
        shared: state of posts as of the step.
        users: state of the users as of the step, all of whom ask.
        post: row of the post, shape (n_posts,).
        at: seconds since the log's origin, shape (n_users,).
        tables: of the users.
    """

    def __init__(
        self,
        shared: SharedState,
        users: UserState,
        post: np.ndarray,
        at: np.ndarray,
        tables: UserTables,
    ) -> None:
        super().__init__(shared, users, np.arange(len(at))[:, None], post, at[:, None], tables)

    def cell(self, table: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Cells of a table with rows of the users and columns of the posts, of the grid's shape."""
        return table[row[:, 0]].take(column, axis=1)


class WholeGrid(Grid):
    """All pairs of some users and all posts, for a score that only tells who is near the best.

    A sum of products is a product of matrices, some last bits from that of single pairs, in a
    fifteenth of the time.

    Args:
        shared: state of posts as of the step.
        users: state of the users as of the step, all of whom ask.
        at: seconds since the log's origin, shape (n_users,).
        tables: of the users.
    """

    def __init__(
        self, shared: SharedState, users: UserState, at: np.ndarray, tables: UserTables
    ) -> None:
        super().__init__(shared, users, np.arange(users.fitted.n_posts), at, tables)
        self.cluster = users.refit.clusters.cluster
        self.topic = users.fitted.topic

    @property
    def words(self) -> np.ndarray:
        """Those of all posts."""
        return self.users.refit.words.rows

    def cell(self, table: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """As of a grid; of all columns, whole rows."""
        rows = table[row[:, 0]]
        return rows if column is self.post else rows.take(column, axis=1)

    def _sum_of_products(self, of_users: np.ndarray, of_posts: np.ndarray) -> np.ndarray:
        return np.asarray(of_users.T @ of_posts)


class ShownPairs(Question):
    """The pairs of some users and the posts that each was shown, each pair once, in order.

    Its arguments are those of `WholeGrid`.
    """

    def __init__(
        self, shared: SharedState, users: UserState, at: np.ndarray, tables: UserTables
    ) -> None:
        user, post = users.pairs.distinct
        super().__init__(shared, users, user, post, at[user], tables)

    def _pair_counts(self, step: int) -> Tally:
        return self.users.pairs.of_distinct(step)
