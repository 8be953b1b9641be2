"""State of the source in one snapshot: tables, users, posts, and its own count of the feed."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from feedrank.extraction.audit.clock import read_offsets
from feedrank.extraction.audit.day_counts import Day, Days
from feedrank.extraction.audit.impossible_times import PossibleTimes
from feedrank.extraction.audit.source_counts import count_days
from feedrank.extraction.postgres.copy_reader import rows_a_block
from feedrank.extraction.postgres.feed_query import TODAY, FeedSql
from feedrank.extraction.postgres.row_format import Layout
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.relations import relations
from feedrank.extraction.tables.checks import keys
from feedrank.extraction.tables.users_posts import read_posts, read_users
from feedrank.log.metadata import Offsets
from feedrank.params import MOST_BUCKETS, ExtractParams, SourceParams
from feedrank.schema import POST_ID, USER_ID

FORMAT = 3  # of chunks: a spool of another one is not used
# Buckets of a log: as many as keep workers busy, doubled until one holds so many rows at most. At
# the reference size features take 1.9 GB and 60 s by 32 buckets of 2.1 million rows, 2.9 GB and
# 65 s by 8.
LEAST_BUCKETS, ROWS_A_BUCKET = 8, 3_000_000


@dataclass(frozen=True)
class SourceState:
    """A source as of one snapshot, before its feed is read.

    Attributes:
        sql: statements that read the feed.
        users: as `read_users` gives them.
        posts: as `read_posts` gives them.
        days: the source's own counts of the feed, without impossible times.
        times: the possible times, and what is left out for its impossible ones.
        offsets: of the log's clock from UTC.
        left_out_columns: why a column of users is not in their profile, by name.
        rows_a_block: of the feed's table; 1 where it is not read by blocks.
    """

    sql: FeedSql
    users: pd.DataFrame
    posts: pd.DataFrame
    days: Days
    times: PossibleTimes
    offsets: Offsets
    left_out_columns: dict[str, str]
    rows_a_block: int

    @classmethod
    def of(
        cls, snapshot: Snapshot, source: SourceParams, extract: ExtractParams, with_checks: bool
    ) -> SourceState:
        """The state in a snapshot.

        Args:
            snapshot: of the database.
            source: group `source` of `params.yaml`, the names in the database.
            extract: group `extract`.
            with_checks: with checksums of the feed, which cost the database as much again as the
                counts.

        Raises:
            SchemaError: a table or column is missing, or holds values that cannot be used.
        """
        users, posts, feed = relations(snapshot.first, source)
        user_rows, left_out = read_users(snapshot.first, users, source, extract)
        post_rows = read_posts(snapshot.first, posts, source)
        layout = Layout.fitting(keys(user_rows, USER_ID), keys(post_rows, POST_ID))
        sql = FeedSql.of(feed, source, extract, layout)
        days = count_days(snapshot, sql, extract.connections, with_checks)
        sql = sql.with_a_time() if days.without_time != Day() else sql
        times = PossibleTimes.of(days, snapshot.first.rows(TODAY)[0][0], extract)
        sql = sql.between(times.since, times.until)
        offsets = read_offsets(snapshot.first, source.time_zone, times.days)
        density = rows_a_block(snapshot.first, feed) if feed.has_blocks else 1
        return cls(sql, user_rows, post_rows, times.days, times, offsets, left_out, density)

    def n_buckets(self, params: ExtractParams) -> int:
        """Number of the log's buckets."""
        return buckets_for(self.days.total.views, params.buckets)

    def of_chunks(self, params: ExtractParams) -> dict[str, Any]:
        """Everything that decides the bytes of chunks, as JSON: equal states have equal chunks."""
        return {
            "format": FORMAT,
            "is_narrow": self.sql.layout.is_narrow,
            "days": self.days.without_checks().as_json(),
            "users": _digest(keys(self.users, USER_ID)),
            "posts": _digest(keys(self.posts, POST_ID)),
            "feed": {**asdict(self.sql.relation), "where": list(self.sql.where)},
            "buckets": self.n_buckets(params),
            "chunk_rows": params.chunk_rows,
            "rows_a_block": self.rows_a_block,
        }


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()


def buckets_for(n_impressions: int, buckets: int | None) -> int:
    """Number of buckets: as `extract.buckets` has it, or as a log of that size needs."""
    if buckets is not None:
        return buckets
    found = LEAST_BUCKETS
    while n_impressions > found * ROWS_A_BUCKET and found < MOST_BUCKETS:
        found *= 2
    return found
