"""Pairs: users and posts at moments, and the columns that are known of them without any count."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from feedrank.log.metadata import hour_of_day
from feedrank.state.fitted import WarmupParameters


class Pairs:
    """Pairs of a user and a post at moments, one by one or all of a grid.

    Args:
        fitted: parameters of the warm-up.
        codes: profile codes of the users, shape (n_users, n_columns).
        user: row within `codes`, shape (n,).
        post: row of the post, shape (n,).
        at: seconds since the log's origin, shape (n,).
    """

    def __init__(
        self,
        fitted: WarmupParameters,
        codes: np.ndarray,
        user: np.ndarray,
        post: np.ndarray,
        at: np.ndarray,
    ) -> None:
        self.fitted = fitted
        self.user = user
        self.post = post
        self.at = at
        self._codes = codes

    @cached_property
    def topic(self) -> np.ndarray:
        """Topic code of each post, shape (n,)."""
        return self.fitted.topic[self.post]

    @cached_property
    def segment(self) -> np.ndarray:
        """Segment of each user that the moment knows of, shape (n,)."""
        step = self.at // self.fitted.step_seconds
        segment = self.fitted.segment(self._codes)[self.user]
        return np.where(step < self.fitted.segments_since, 0, segment)

    @cached_property
    def hour(self) -> np.ndarray:
        """Hour of the day, 0 to 23, shape (n,)."""
        return hour_of_day(self.at)

    def codes(self, column: int) -> np.ndarray:
        """Profile codes of each user in one column, shape (n,)."""
        return self._codes[self.user, column]

    def profile(self, name: str) -> np.ndarray:
        """Profile codes of each user in the column of this name, 0 for missing, shape (n,).

        Raises:
            ValueError: there is no such column.
        """
        names = self.fitted.column_names
        if name not in names:
            raise ValueError(f"there is no profile column '{name}'; there are {[*names]}")
        return self.codes(names.index(name))

    def of_post(self, name: str) -> np.ndarray:
        """A plugin's column of the posts, float64, shape (n,)."""
        return self.fitted.plugins.columns[name][self.post]
