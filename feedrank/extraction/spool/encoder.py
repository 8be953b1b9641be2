"""Encoder: rows of the feed to chunks of the log and back; ids become rows of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from feedrank.extraction.audit.day_counts import Days, days_of, sum_days
from feedrank.extraction.postgres.row_format import Layout, WireRows
from feedrank.extraction.spool.chunks import DROPPED, Chunk, Header, Spool
from feedrank.extraction.spool.packing import Packing
from feedrank.extraction.tables.checks import keys
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.schema import POST_ID, USER_ID

# A table of all ids is used up to so many entries an id; beyond, binary search. Memory, 4 bytes an
# entry, is the only difference: any value from 1 to some dozens will do.
DENSE = 4


class IdRows:
    """Index of a table by the keys of its ids.

    Args:
        ids: int64, unique; ascending where ids are whole numbers.
    """

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = ids
        is_sorted = bool((ids[1:] > ids[:-1]).all())
        self._order = None if is_sorted else np.argsort(ids)
        self._sorted = ids if self._order is None else ids[self._order]
        self._first = int(self._sorted[0])
        span = int(self._sorted[-1]) - self._first + 1
        self._row_of = np.full(span, -1, np.int32) if span <= DENSE * len(ids) + 65_536 else None
        if self._row_of is not None:
            self._row_of[ids - self._first] = np.arange(len(ids))

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id, -1 where there is none; shape (n,)."""
        if self._row_of is None:
            rows = np.minimum(np.searchsorted(self._sorted, ids), len(self.ids) - 1)
            rows = rows if self._order is None else self._order[rows]
            return np.where(self.ids[rows] == ids, rows, -1)
        offset = ids - self._first
        # As unsigned, an id below the first is larger than all.
        is_near = offset.view(np.uint64) < len(self._row_of)
        if is_near.all():
            return self._row_of.take(offset)
        return np.where(is_near, self._row_of[np.where(is_near, offset, 0)], -1)


@dataclass(frozen=True)
class Encoder:
    """Turns rows into chunks of one log.

    Attributes:
        users: index of `users.parquet`.
        posts: index of `posts.parquet`.
        bounds: first user of each bucket, and the number of users.
        first_day: days from 2000-01-01 to the midnight that packed times count from.
        packing: of impressions.
        likes_apart: liked rows are likes, and no impressions.
    """

    users: IdRows
    posts: IdRows
    bounds: np.ndarray
    first_day: int
    packing: Packing
    likes_apart: bool

    @classmethod
    def of(
        cls,
        users: pd.DataFrame,
        posts: pd.DataFrame,
        bounds: np.ndarray,
        days: Days,
        likes_apart: bool = False,
    ) -> Encoder:
        """The encoder for known users, posts and days."""
        packing = Packing.fitting(
            days.last - days.first + 1, int(np.diff(bounds).max()), len(posts)
        )
        user_rows, post_rows = IdRows(keys(users, USER_ID)), IdRows(keys(posts, POST_ID))
        return cls(user_rows, post_rows, bounds, days.first, packing, likes_apart)

    def chunk(self, rows: WireRows) -> Chunk:
        """The chunk of some rows."""
        user, post = self.users.find(rows.user_id), self.posts.find(rows.post_id)
        is_known = (user | post) >= 0
        at = rows.at - self.first_day * SECONDS_A_DAY
        kept = slice(None) if is_known.all() else is_known
        dropped = np.flatnonzero(~is_known)
        no_user, is_shown = user[dropped] < 0, rows.liked[dropped] <= (not self.likes_apart)
        packed, bucket_rows = self._packed(at[kept], user[kept], post[kept], rows.liked[kept])
        shown_at = at[is_known & (rows.liked == 0)] if self.likes_apart else at[kept]
        header = Header(
            bucket_rows=bucket_rows,
            n_dropped=len(dropped),
            unknown_users=int((is_shown & no_user).sum()),
            unknown_posts=int((is_shown & ~no_user).sum()),
            days=days_of(rows.at, rows.liked).as_json(),
            first_at=int(shown_at.min()) if len(shown_at) else -1,
            last_at=int(shown_at.max(initial=-1)),
        )
        return Chunk(header, packed, dropped_rows(rows, dropped))

    def rows(self, packed: np.ndarray, bucket: int) -> WireRows:
        """The rows that `packed` impressions of a bucket were made of."""
        found = self.packing.unpack(packed, int(self.bounds[bucket]), 0)
        return WireRows(
            user_id=self.users.ids[found.user],
            post_id=self.posts.ids[found.post],
            at=found.at + np.int64(self.first_day * SECONDS_A_DAY),
            liked=found.liked,
        )

    def checked_days(self, spool: Spool, layout: Layout) -> Days:
        """Counts and checksums of everything in a spool, read back from disk."""
        return sum_days(checked_days(rows, layout) for rows in self._spooled(spool))

    def _spooled(self, spool: Spool) -> Iterator[WireRows]:
        for name in spool.names():
            for bucket in range(len(self.bounds) - 1):
                yield self.rows(spool.part(name, bucket), bucket)
            yield wire_rows(spool.dropped_of(name))

    def _packed(
        self, at: np.ndarray, user: np.ndarray, post: np.ndarray, liked: np.ndarray
    ) -> tuple[np.ndarray, list[int]]:
        bucket = self._bucket_of.take(user)
        packed = self.packing.pack(at, self._user_in_bucket.take(user), post, liked)
        bucket_rows = np.bincount(bucket, minlength=len(self.bounds) - 1)
        if bucket_rows.max(initial=0) < len(packed):
            packed = packed[np.argsort(bucket, kind="stable")]
        return packed, [int(n) for n in bucket_rows]

    @cached_property
    def _bucket_of(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.bounds) - 1, dtype=np.uint16), np.diff(self.bounds))

    @cached_property
    def _user_in_bucket(self) -> np.ndarray:
        return np.arange(self.bounds[-1]) - self.bounds[self._bucket_of]


def dropped_rows(rows: WireRows, chosen: slice | np.ndarray = slice(None)) -> np.ndarray:
    """Rows as the log keeps those that are none of its impressions, of dtype DROPPED."""
    dropped = np.empty(len(rows.at[chosen]), DROPPED)
    for name in DROPPED.names or ():
        dropped[name] = getattr(rows, name)[chosen]
    return dropped


def wire_rows(dropped: np.ndarray) -> WireRows:
    """The rows that `dropped_rows` was given."""
    return WireRows(**{name: dropped[name] for name in DROPPED.names or ()})


def checked_days(rows: WireRows, layout: Layout) -> Days:
    """Counts and checksums of rows, for comparison with the source's own."""
    return days_of(rows.at, rows.liked, layout.checksums(rows))
