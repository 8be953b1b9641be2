"""Query of a feed's sample: some of the rows that an extract reads, and how many those are."""

from __future__ import annotations

from dataclasses import dataclass

from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction
from feedrank.extraction.postgres.feed_query import FeedSql, all_of
from feedrank.extraction.postgres.row_format import Layout
from feedrank.params import ExtractParams, Params

ROWS = 200_000  # of a sample: read, joined and sorted in about a second


def is_part(extract: ExtractParams) -> bool:
    """Whether an extract leaves out times or users."""
    return bool(extract.since or extract.until or extract.user_share < 1)


@dataclass(frozen=True)
class SampleQuery:
    """Blocks spread over a table, or the first rows of anything else.

    Attributes:
        sql: statements for the rows that an extract reads.
        n_rows: of the whole feed, about.
        is_part: an extract reads not all of them.
    """

    sql: FeedSql
    n_rows: int
    is_part: bool

    @classmethod
    def of(cls, transaction: Transaction, feed: Relation, params: Params) -> SampleQuery:
        """The query of a feed; raises `SchemaError` as `FeedSql.of`."""
        sql = FeedSql.of(feed, params.source, params.extract, Layout.for_bounds([]))
        return cls(sql, _n_rows(transaction, feed), is_part(params.extract))

    @property
    def rows(self) -> str:
        """The query: at, u (user), p (post), a (action) and t (target) of each row."""
        sql = self.sql
        columns = f"{sql.at} AS at, {sql.user} AS u, {sql.post} AS p, {sql.action} AS a"
        rows = f"SELECT {columns}, {sql.target} AS t FROM {sql.relation.path}"
        if self._is_of_blocks:
            share = 100 * ROWS / self.n_rows
            return f"{rows} TABLESAMPLE SYSTEM ({share:.6f}) REPEATABLE (1) {all_of(sql.where)}"
        if not sql.likes_apart:
            return f"{rows} {all_of(sql.where)} LIMIT {ROWS}"
        # The first rows of two tables are all of the first one.
        kinds = (all_of((*sql.where, f"{sql.target} = {t}")) for t in (0, 1))
        return " UNION ALL ".join(f"({rows} {of_kind} LIMIT {ROWS // 2})" for of_kind in kinds)

    def n_read(self, n: int) -> int:
        """Rows that an extract reads, about, if so many are in the sample.

        The sample tells how many are left out: the server's planner cannot.
        """
        if not self.is_part:
            return max(self.n_rows, n)
        if self._is_of_blocks:
            return round(n * self.n_rows / ROWS)
        return n if n < ROWS else self.n_rows

    @property
    def _is_of_blocks(self) -> bool:
        return self.sql.relation.has_blocks and self.n_rows > ROWS


def _n_rows(transaction: Transaction, feed: Relation) -> int:
    """Rows of a feed: counted up to those of a sample, else as the server's planner expects.

    Its expectation follows the size of a table, also where it was never analysed.
    """
    first = f"SELECT 1 FROM {feed.path}"
    n = int(transaction.rows(f"SELECT count(*) FROM ({first} LIMIT {ROWS}) AS first")[0][0])
    if n < ROWS:
        return n
    plan = transaction.rows(f"EXPLAIN (FORMAT JSON) {first}")[0][0]
    return max(n, int(plan[0]["Plan"]["Plan Rows"]))
