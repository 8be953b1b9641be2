"""Query groups: training rows by request, and the likelihood of the order within each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from feedrank.features.rows import EVER

# Standard errors by which an order of sittings must win. At one, one fit in six would take it by
# chance: on the demo the log loss of likes rose by .0008, and lists were no better.
SURE = 2.0
SITTING = 30 * 60  # seconds without an impression that end a session, as web analytics count them
SCALES = np.geomspace(0.25, 4, 17)  # of scores; a factor of 4 either way, in steps of 19 %


@dataclass(frozen=True)
class QueryGroups:
    """Rows of the requests that hold a liked post and another, request by request.

    Attributes:
        row: within the rows that these are of, shape (n,).
        start: first row of each request, shape (n_requests,).
        liked: float64, shape (n,).
        user: of each request, shape (n_requests,).
        are_lists: requests are lists of one moment, not sittings.
    """

    row: np.ndarray
    start: np.ndarray
    liked: np.ndarray
    user: np.ndarray
    are_lists: bool

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(
        cls, user: np.ndarray, at: np.ndarray, liked: np.ndarray, step_seconds: int = EVER
    ) -> QueryGroups:
        """Rows of one user and moment, if most rows share theirs with another; else of a sitting.

        None, if most rows are alone in that too: of a sample so thin, the few requests that two
        rows are of would decide for all.

        Args:
            user: of each row, shape (n,).
            at: seconds, shape (n,).
            liked: shape (n,).
            step_seconds: of a step, whose end ends a sitting: rows of the next one know its likes.
        """
        row = np.lexsort((at, user))
        at, user_of = at[row].astype(np.int64), user[row].astype(np.int64)
        gap, is_other = np.diff(at, prepend=0), np.diff(user_of, prepend=-1) != 0
        is_other |= np.diff(at // step_seconds, prepend=-1) != 0
        for longest in (0, SITTING):
            start = np.flatnonzero(is_other | (gap > longest))
            size = np.diff(start, append=len(row))
            if 2 * size[size > 1].sum() > len(row):
                break
        else:
            start = size = np.zeros(0, np.int64)
        likes = np.add.reduceat(liked[row].astype(np.int64), start)
        tells = (likes > 0) & (likes < size)
        row, size = row[np.repeat(tells, size)], size[tells]
        start = np.cumsum(size) - size
        return cls(row, start, liked[row].astype(np.float64), user[row[start]], longest == 0)

    def thinned(self, most: int) -> QueryGroups:
        """Requests spread evenly, of `most` rows or few more; `row` still means the same rows."""
        kept = np.arange(0, len(self), max(1, -(-len(self.row) // most)))
        chosen = np.isin(self.request, kept)
        size = np.diff(self.start, append=len(self.row))[kept]
        row, liked = self.row[chosen], self.liked[chosen]
        return QueryGroups(row, np.cumsum(size) - size, liked, self.user[kept], self.are_lists)

    def log_shares(self, score: np.ndarray) -> np.ndarray:
        """Log softmax of the scores of each request's rows, shape (n,); scores likewise."""
        above = score - self.of_rows(np.maximum.reduceat(score, self.start))
        total = np.add.reduceat(np.exp(above), self.start)
        return np.asarray(above - self.of_rows(np.log(total)))

    def loss(self, score: np.ndarray) -> np.ndarray:
        """Mean surprise at the liked rows of each request, shape (n_requests,).

        The conditional log likelihood (McFadden 1974): given that one post was liked, which.
        """
        surprise = -self.liked * self.log_shares(score)
        return np.asarray(np.add.reduceat(surprise, self.start) / self.n_liked)

    def calibrated_loss(self, score: np.ndarray) -> np.ndarray:
        """The loss at the scale of the scores where it is least."""
        losses = (self.loss(scale * score) for scale in SCALES.tolist())
        return min(losses, key=lambda loss: float(loss.mean()))

    def is_less(self, less: np.ndarray, more: np.ndarray) -> bool:
        """Whether a loss is less than another: of lists, on average; of sittings, surely.

        A list is what a request is, a sitting a guess. The standard error is clustered by user.
        """
        _, of = np.unique(self.user, return_inverse=True)
        lead = np.bincount(of, more - less)
        error = np.sqrt(np.sum((lead - lead.sum() / len(self) * np.bincount(of)) ** 2))
        return bool(lead.sum() > (0 if self.are_lists else SURE * error))

    @property
    def request(self) -> np.ndarray:
        """Number of the request of each row, shape (n,)."""
        return self.of_rows(np.arange(len(self)))

    @cached_property
    def n_liked(self) -> np.ndarray:
        """Liked rows of each request, float64, shape (n_requests,)."""
        return np.add.reduceat(self.liked, self.start)

    def of_rows(self, of_requests: np.ndarray) -> np.ndarray:
        """A value of each request, for each of its rows, shape (n,)."""
        return np.repeat(of_requests, np.diff(self.start, append=len(self.row)))
