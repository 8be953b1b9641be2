"""Delta rows: impressions and likes that came after an artifact, each once, with their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.live.events import LIKE, LIKED

POST_BITS = np.int64(32)
POST_MASK = np.int64(2**32 - 1)


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
class DeltaRows:
    """Rows in the order (user, post, second, likes last), each once.

    The label is that of the extract (`feedrank.extraction.spool.labels`): an impression is liked if
    it came so, or if a like follows it within the window with no other impression of its user and
    post between. It depends on the set of rows alone, not on their order of arrival.

    Attributes:
        window: seconds from an impression to its like; None: any.
        key: row of the user times 2**32, plus row of the post, int64, shape (n,).
        at: seconds since the log's origin, uint32, shape (n,).
        kind: as it came, uint8, shape (n,).
        liked: label of an impression, False for a like, shape (n,).
    """

    window: int | None
    key: np.ndarray
    at: np.ndarray
    kind: np.ndarray
    liked: np.ndarray

    @classmethod
    def empty(cls, window: int | None) -> DeltaRows:
        """No row yet."""
        kinds = (np.int64, np.uint32, np.uint8, bool)
        return cls(window, *(np.zeros(0, kind) for kind in kinds))

    def __len__(self) -> int:
        return len(self.key)

    @property
    def n_impressions(self) -> int:
        """Rows that are no likes apart."""
        return int(np.count_nonzero(self.kind != LIKE))

    def of_user(self, user: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Post, second and liked of one user's impressions, in order of time."""
        first, last = np.searchsorted(self.key, np.array([user, user + 1]) << POST_BITS)
        rows = first + np.flatnonzero(self.kind[first:last] != LIKE)
        rows = rows[np.argsort(self.at[rows], kind="stable")]
        return self.key[rows] & POST_MASK, self.at[rows], self.liked[rows]

    def n_shown(self, n_users: int) -> np.ndarray:
        """Impressions of each user, shape (n_users,)."""
        users = self.key[self.kind != LIKE] >> POST_BITS
        return np.bincount(users, minlength=n_users)

    def joined(
        self, user: np.ndarray, post: np.ndarray, at: np.ndarray, kind: np.ndarray
    ) -> tuple[DeltaRows, Changes]:
        """With more rows, of which some may be there already; and what has changed by them.

        All rows of a pair of user and post that has a new one are taken out, labelled again and put
        back, so that any order and batching of rows ends in the same state.
        """
        key = (user.astype(np.int64) << POST_BITS) + post
        pairs = np.unique(key)
        old = _ranges(*(np.searchsorted(self.key, pairs, side) for side in ("left", "right")))
        is_old = np.arange(len(old) + len(key)) < len(old)
        key, at, kind, was = (
            np.concatenate([column[old], new])
            for column, new in (
                (self.key, key),
                (self.at, at.astype(np.uint32)),
                (self.kind, kind.astype(np.uint8)),
                (self.liked, np.zeros(len(key), bool)),
            )
        )
        order = np.lexsort((~is_old, kind == LIKE, at, key))
        key, at, kind, was, is_old = (c[order] for c in (key, at, kind, was, is_old))
        first = np.flatnonzero(_begins(key, at, kind == LIKE))
        kind = np.maximum.reduceat(kind, first) if len(first) else kind
        key, at, was, is_old = (c[first] for c in (key, at, was, is_old))
        liked = _labels(key, at, kind, self.window)
        stay = np.ones(len(self), bool)
        stay[old] = False
        columns = zip(
            (self.key, self.at, self.kind, self.liked), (key, at, kind, liked), strict=True
        )
        place = np.searchsorted(self.key[stay], key)
        merged = (_inserted(column[stay], place, new) for column, new in columns)
        changed = np.flatnonzero((kind != LIKE) & ~(is_old & (liked == was)))
        key = key[changed]
        return DeltaRows(self.window, *merged), Changes(
            key >> POST_BITS,
            key & POST_MASK,
            at[changed].astype(np.int64),
            (~is_old[changed]).astype(np.int64),
            liked[changed].astype(np.int64) - was[changed],
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


def _ranges(first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """All whole numbers of [first, end) of each pair, one after another."""
    length = end - first
    before = np.cumsum(length) - length
    return np.arange(int(length.sum())) + np.repeat(first - before, length)


def _inserted(column: np.ndarray, place: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A column with new values, which are in order, before the rows `place` of the old ones."""
    at = place + np.arange(len(new))
    whole = np.empty(len(column) + len(new), column.dtype)
    is_new = np.zeros(len(whole), bool)
    is_new[at] = True
    whole[at], whole[~is_new] = new, column
    return whole
