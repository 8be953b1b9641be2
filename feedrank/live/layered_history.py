"""Layered history: users' impressions in an artifact's log, with their later ones after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.live.delta_rows import DeltaRows
from feedrank.log.metadata import LogMeta
from feedrank.state.history import History


@dataclass(frozen=True)
class LayeredHistory(History):
    """Histories of a log and later rows.

    Attributes:
        later: rows after the log's last second.
        last_at: the log's last second.
        step_seconds: length of a step.
        n_users: of the log, then new ones.
    """

    later: DeltaRows
    last_at: int
    step_seconds: int
    n_users: int

    @classmethod
    def over(
        cls, log: History, meta: LogMeta, step_seconds: int, window: int | None
    ) -> LayeredHistory:
        """The histories of a log, without any later row."""
        later = DeltaRows(window)
        return cls(**vars(log), later=later, last_at=meta.last_at, step_seconds=step_seconds,
                   n_users=meta.n_users)  # fmt: skip

    @property
    def n_shown(self) -> np.ndarray:
        """Impressions of each user, shape (n_users,)."""
        total = self.later.n_shown(self.n_users)
        total[: len(self.offsets) - 1] += np.diff(self.offsets)
        return total

    def before(self, user: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Post, step and liked of one user's impressions strictly before a step."""
        post, steps, liked = self._of_log(user, step)
        if not 0 <= user < self.n_users or step * self.step_seconds <= self.last_at:
            return post, steps, liked
        later_post, at, later_liked = self.later.of_user(user)
        late_steps = at // np.uint32(self.step_seconds)
        n = int(np.searchsorted(late_steps, step))
        columns = ((post, later_post), (steps, late_steps), (liked, later_liked))
        first, second, third = (np.concatenate([old, new[:n]]) for old, new in columns)
        return first, second, third

    def known(self, user: int, step: int, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Post and liked of all impressions until a second; within the log, until its step."""
        if at <= self.last_at:
            return super().known(user, step, at)
        post, _, liked = self._of_log(user, np.iinfo(np.int64).max)
        later_post, shown_at, later_liked = self.later.of_user(user)
        n = int(np.searchsorted(shown_at, at, side="right"))
        return np.concatenate([post, later_post[:n]]), np.concatenate([liked, later_liked[:n]])

    def _of_log(self, user: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if 0 <= user < len(self.offsets) - 1:
            return super().before(user, step)
        return self.post[:0], self.step[:0], self.liked[:0]
