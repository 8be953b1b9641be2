"""Delta rows: impressions and likes that came after an artifact, each once, with their labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from feedrank.live.events import LIKE, LIKED
from feedrank.log.columns import Columns

POST_BITS = np.int64(32)
POST_MASK = np.int64(2**32 - 1)
# Rows that a batch is merged with: a quarter of a minute at 2,000 a second. Other rows, 12 MB a day
# of the reference network, are copied once for so many new ones.
MOST_RECENT = 30_000


@dataclass(frozen=True)
class Changes:
    """Impressions that are new, or whose label has changed.

    Attributes:
        user: row of the user, int64, shape (n,).
        post: row of the post, int64, shape (n,).
        at: seconds since the log's origin, int64, shape (n,).
        shown: 1 if new, else 0, int64, shape (n,).
        liked: 1, 0 or -1, to add to the likes, int64, shape (n,).
    """

    user: np.ndarray
    post: np.ndarray
    at: np.ndarray
    shown: np.ndarray
    liked: np.ndarray

    def repeated(self, n: int) -> Changes:
        """Each row `n` times."""
        return Changes(*(np.repeat(column, n) for column in vars(self).values()))


@dataclass(frozen=True)
class SortedRows(Columns):
    """Impressions and likes in the order (user, post, second, likes last), each once.

    Attributes:
        key: row of the user times 2**32, plus row of the post, int64, shape (n,).
        at: seconds since the log's origin, uint32, shape (n,).
        kind: as it came, uint8, shape (n,).
        liked: label of an impression, False for a like, shape (n,).
    """

    key: np.ndarray
    at: np.ndarray
    kind: np.ndarray
    liked: np.ndarray

    @classmethod
    def empty(cls) -> SortedRows:
        """No row yet."""
        return cls(*(np.zeros(0, kind) for kind in (np.int64, np.uint32, np.uint8, bool)))

    def of_pairs(self, pairs: np.ndarray) -> np.ndarray:
        """Places of the rows of some keys, ascending."""
        first, end = (np.searchsorted(self.key, pairs, side) for side in ("left", "right"))
        length = end - first
        before = np.cumsum(length) - length
        return np.arange(int(length.sum())) + np.repeat(first - before, length)

    def of_user(self, user: int) -> np.ndarray:
        """Places of one user's rows."""
        return np.arange(*np.searchsorted(self.key, np.array([user, user + 1]) << POST_BITS))

    def merged(self, others: SortedRows) -> SortedRows:
        """With rows of pairs that are not among these."""
        at = np.searchsorted(self.key, others.key) + np.arange(len(others))
        is_old = np.ones(len(self) + len(others), bool)
        is_old[at] = False

        def whole(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            column = np.empty(len(is_old), old.dtype)
            column[is_old], column[at] = old, new
            return column

        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return SortedRows(*(whole(old, new) for old, new in pairs))


@dataclass(frozen=True)
class DeltaRows:
    """Rows of any order of arrival, each once; immutable.

    The label is that of the extract (`feedrank.extraction.spool.labels`): an impression is liked if
    it came so, or if a like follows it within the window with no other impression of its user and
    post between. It depends on the set of rows alone.

    Attributes:
        window: seconds from an impression to its like; None: any.
        settled: rows before the recent ones.
        stays: which of these still count; the others are again among the recent ones.
        recent: so few that adding to them costs little.
    """

    window: int | None
    settled: SortedRows = field(default_factory=SortedRows.empty)
    stays: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    recent: SortedRows = field(default_factory=SortedRows.empty)

    def of_user(self, user: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Post, second and liked of one user's impressions, in order of time."""
        settled = self.settled.of_user(user)
        settled = settled[self.stays[settled]]
        rows = SortedRows.joined([self.settled[settled], self.recent[self.recent.of_user(user)]])
        shown = np.flatnonzero(rows.kind != LIKE)
        rows = rows[shown[np.argsort(rows.at[shown], kind="stable")]]
        return rows.key & POST_MASK, rows.at, rows.liked

    def n_shown(self, n_users: int) -> np.ndarray:
        """Impressions of each user, shape (n_users,)."""
        key, kind = (
            np.concatenate([getattr(self.settled, name)[self.stays], getattr(self.recent, name)])
            for name in ("key", "kind")
        )
        return np.bincount(key[kind != LIKE] >> POST_BITS, minlength=n_users)

    def joined(
        self, user: np.ndarray, post: np.ndarray, at: np.ndarray, kind: np.ndarray
    ) -> tuple[DeltaRows, Changes]:
        """With more rows, of which some may be there already; and what has changed by them.

        All rows of a pair of user and post that has a new one are taken out, labelled again and put
        back, so that any order and batching of rows ends in the same state.
        """
        key = (user.astype(np.int64) << POST_BITS) + post
        new = SortedRows(key, at.astype(np.uint32), kind, np.zeros(len(key), bool))
        pairs, stays = np.unique(key), self.stays
        settled, recent = self.settled.of_pairs(pairs), self.recent.of_pairs(pairs)
        settled = settled[stays[settled]]
        old = SortedRows.joined([self.settled[settled], self.recent[recent]])
        rows, changes = _labelled(old, new, self.window)
        if len(settled):
            stays = stays.copy()
            stays[settled] = False
        is_other = np.ones(len(self.recent), bool)
        is_other[recent] = False
        rows = self.recent[is_other].merged(rows)
        if len(rows) <= MOST_RECENT:
            return DeltaRows(self.window, self.settled, stays, rows), changes
        rows = self.settled[stays].merged(rows)
        return DeltaRows(self.window, rows, np.ones(len(rows), bool)), changes


def _labelled(old: SortedRows, new: SortedRows, window: int | None) -> tuple[SortedRows, Changes]:
    """All rows of some pairs, sorted, each once and labelled; and what has changed by the new."""
    rows = SortedRows.joined([old, new])
    is_new, is_like = np.arange(len(rows)) >= len(old), rows.kind == LIKE
    order = np.lexsort((is_new, is_like, rows.at, rows.key))
    rows, is_new, is_like = rows[order], is_new[order], is_like[order]
    first = np.flatnonzero(_begins(rows.key, rows.at, is_like))
    kind = np.maximum.reduceat(rows.kind, first) if len(first) else rows.kind
    rows, is_new = rows[first], is_new[first]
    liked = _labels(rows.key, rows.at, kind, window)
    changed = np.flatnonzero((kind != LIKE) & (is_new | (liked != rows.liked)))
    key, was = rows.key[changed], rows.liked[changed]
    return SortedRows(rows.key, rows.at, kind, liked), Changes(
        key >> POST_BITS,
        key & POST_MASK,
        rows.at[changed].astype(np.int64),
        is_new[changed].astype(np.int64),
        liked[changed].astype(np.int64) - was,
    )


def _labels(key: np.ndarray, at: np.ndarray, kind: np.ndarray, window: int | None) -> np.ndarray:
    """Label of each row, bool, shape (n,); the rows are sorted."""
    liked, is_like = kind == LIKED, kind == LIKE
    last = np.maximum.accumulate(np.where(is_like, -1, np.arange(len(key))))
    likes = np.flatnonzero(is_like & (last >= 0))
    shown = last[likes]
    follows = key[shown] == key[likes]
    if window is not None:
        follows &= at[likes] - at[shown] < window
    liked[shown[follows]] = True
    return liked


def _begins(*columns: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before it."""
    differs = np.ones(len(columns[0]), bool)
    differs[1:] = np.any([c[1:] != c[:-1] for c in columns], axis=0)
    return differs
