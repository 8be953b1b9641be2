"""The database at one moment: its tables, its users and posts, its own count of the feed."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from feedrank.extraction.audit.day_counts import Day, Days
from feedrank.extraction.audit.source_counts import count_days
from feedrank.extraction.postgres.catalog import Relation, describe
from feedrank.extraction.postgres.connection import Transaction
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.postgres.row_format import Layout
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.users_posts import read_posts, read_users
from feedrank.params import ExtractParams, SourceParams
from feedrank.schema import POST_ID, USER_ID

FORMAT = 1  # of chunks: another one starts over


@dataclass(frozen=True)
class SourceState:
    """What is known of a database before its feed is read.

    Attributes:
        sql: statements that read the feed.
        users: as `read_users` gives them.
        posts: as `read_posts` gives them.
        days: the source's own counts of the feed.
    """

    sql: FeedSql
    users: pd.DataFrame
    posts: pd.DataFrame
    days: Days

    @classmethod
    def of(
        cls, snapshot: Snapshot, source: SourceParams, extract: ExtractParams, with_checks: bool
    ) -> SourceState:
        """The moment of a snapshot.

        Args:
            snapshot: the moment.
            source: names in the database.
            extract: what is read.
            with_checks: whether checksums of the feed are needed. They cost the database as much
                again as the counts.

        Raises:
            SchemaError: a table or column is missing, or holds what cannot be used.
        """
        users, posts, feed = relations(snapshot.first, source)
        user_rows = read_users(snapshot.first, users, source, extract)
        post_rows = read_posts(snapshot.first, posts, source)
        layout = Layout.fitting(ids(user_rows, USER_ID), ids(post_rows, POST_ID))
        sql = FeedSql.of(feed, source, extract, layout)
        days = count_days(snapshot, sql, extract.connections, with_checks)
        sql = sql.with_a_time() if days.without_time != Day() else sql
        return cls(sql, user_rows, post_rows, days)

    def state(self, params: ExtractParams) -> dict[str, Any]:
        """Everything that decides what a chunk holds: two equal states have equal chunks."""
        return {
            "format": FORMAT,
            "is_narrow": self.sql.layout.is_narrow,
            "days": self.days.without_checks().as_json(),
            "users": _digest(ids(self.users, USER_ID)),
            "posts": _digest(ids(self.posts, POST_ID)),
            "feed": {**asdict(self.sql.relation), "where": list(self.sql.where)},
            "buckets": params.buckets,
            "chunk_rows": params.chunk_rows,
        }


def relations(
    transaction: Transaction, source: SourceParams
) -> tuple[Relation, Relation, Relation]:
    """The tables of users, posts and feed; raises `SchemaError` if one is missing."""
    users = describe(transaction, source.schema, source.users)
    posts = describe(transaction, source.schema, source.posts)
    return users, posts, describe(transaction, source.schema, source.feed)


def ids(table: pd.DataFrame, column: str) -> np.ndarray:
    """The ids of a table, int64."""
    return table[column].to_numpy(np.int64)


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()
