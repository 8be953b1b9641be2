"""Feed rows: new rows of one relation of the feed, read as the extract reads them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation, describe
from feedrank.extraction.postgres.connection import Transaction, literal, quoted
from feedrank.extraction.postgres.feed_query import (
    WHOLE,
    all_of,
    any_of,
    id_key,
    id_text,
    label,
    moment,
    share,
)
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import IMPRESSION, LIKE, LIKED, Happened
from feedrank.params import Params, SourceParams
from feedrank.schema import VIEW, WIDEST_ID
from service.follower.session import Moment, is_new
from service.follower.window import Window

BATCH = 50_000  # rows in memory and of one commit, 20 MB; any value from 10,000 on is as fast
# Blocks before the end of a table into which rows of new transactions may still come: each process
# of the server fills blocks of its own. 8 MB, which are read in 10 ms.
SLACK_BLOCKS = 1024
MARK_SECONDS = 60.0  # between two marks of a feed without a new row
ZONES = 14 * 3600  # seconds by which a clock is off UTC at most
# A row from later than this is none yet: its clock is wrong.
EARLY = "interval '1 hour'"
INDEXED = """SELECT EXISTS (SELECT FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
    WHERE i.indrelid = {oid} AND a.attname = {name} AND i.indisvalid AND i.indpred IS NULL
      AND m.amname IN ('btree', 'brin'))"""


@dataclass(frozen=True)
class FeedQuery:
    """Query of a relation's rows as events of the delta log.

    Attributes:
        name: of the relation's part, 'feed' or 'events'.
        relation: table, view or query.
        time_type: type of its column of moments.
        by_blocks: read by ranges of blocks, since no index leads to new moments.
        sql: rows of user, post, second on the log's clock, kind, and second on the column's own.
        at: moment on the log's clock.
        own: column of moments.
    """

    name: str
    relation: Relation
    time_type: str
    by_blocks: bool
    sql: str
    at: str
    own: str

    def after(self, since: datetime, window: Window | None, blocks: int) -> str:
        """The query of rows from `since` on that no poll has seen, and maybe of some more."""
        conditions = [f"{self.at} >= timestamp {literal(since.isoformat())}"]
        if self.relation.is_stored:
            conditions.append(is_new(None if window is None else window.last))
        if self.by_blocks:
            start = 0 if window is None else min(window.start, max(blocks - SLACK_BLOCKS, 0))
            conditions.append(f"ctid >= '({start},0)'::tid")
        elif window is not None:
            conditions.append(f"{self.own} >= {self._constant(window.start)}")
        else:
            first = int(since.replace(tzinfo=UTC).timestamp()) - ZONES
            conditions.append(f"{self.own} >= {self._constant(first)}")
        return f"{self.sql} AND {' AND '.join(conditions)}"

    def _constant(self, second: int) -> str:
        """A second of the column's own clock, in its own type, so that an index is used."""
        if self.time_type == "timestamptz":
            return f"to_timestamp({second})"
        naive = f"(to_timestamp({second}) AT TIME ZONE 'UTC')"
        return naive if self.time_type == "timestamp" else f"{naive}::date"


def feed_queries(transaction: Transaction, params: Params) -> list[FeedQuery]:
    """The queries of a feed, or of its views and of the likes of `source.events`.

    Raises:
        SchemaError: a table or column is missing, or of a type that cannot be read.
    """
    source = params.source
    feed = describe(transaction, source.schema, source.feed)
    if source.events is not None:
        events = describe(transaction, source.schema, source.events)
        return [
            _query(transaction, "feed", feed, [VIEW], str(IMPRESSION), params),
            _query(transaction, "events", events, source.positive, str(LIKE), params),
        ]
    action = f"{quoted(feed.column(source.action))}::text"
    if source.like_window is None:
        kind = f"CASE {label(feed, source)} WHEN 0 THEN {IMPRESSION} WHEN 1 THEN {LIKED} END"
        return [_query(transaction, "feed", feed, [VIEW], kind, params)]
    kind = f"CASE WHEN {action} = {literal(VIEW)} THEN {IMPRESSION} ELSE {LIKE} END"
    return [_query(transaction, "feed", feed, [VIEW, *source.positive], kind, params)]


def _query(
    transaction: Transaction,
    name: str,
    relation: Relation,
    actions: list[str],
    kind: str,
    params: Params,
) -> FeedQuery:
    source = params.source
    at = moment(relation, source.timestamp, source.time_zone)
    own, time_type = quoted(source.timestamp), relation.columns[source.timestamp]
    user, post = (plain_id(relation, column) for column in (source.user_id, source.post_id))
    conditions = [
        f"isfinite({at})",
        f"{at} < (now() AT TIME ZONE {literal(source.time_zone)}) + {EARLY}",
        f"{user} IS NOT NULL AND {post} IS NOT NULL AND ({kind}) IS NOT NULL",
        *(fits(relation, column) for column in (source.user_id, source.post_id)),
        *share(id_key(relation, source.user_id), params.extract),
    ]
    if relation.has(source.action):
        conditions.append(any_of(f"{quoted(source.action)}::text", actions))
    columns = (user, post, _second(at), kind, _second(own))
    sql = f"SELECT {', '.join(columns)} FROM {relation.path} {all_of(conditions)}"
    by_blocks = relation.has_blocks and not _is_indexed(transaction, relation, source)
    return FeedQuery(name, relation, time_type, by_blocks, sql, at, own)


def plain_id(relation: Relation, name: str) -> str:
    """Expression of an id as the delta log holds it: a whole number, else its text."""
    is_whole = relation.columns[relation.column(name)] in WHOLE
    return f"{quoted(name)}::int8" if is_whole else id_text(relation, name)


def fits(relation: Relation, name: str) -> str:
    """Condition for ids that the extract takes: a longer one would widen those of all rows."""
    is_whole = relation.columns[relation.column(name)] in WHOLE
    return "TRUE" if is_whole else f"octet_length({id_text(relation, name)}) <= {WIDEST_ID}"


def _second(at: str) -> str:
    return f"floor(extract(epoch FROM {at}))::int8"


def _is_indexed(transaction: Transaction, relation: Relation, source: SourceParams) -> bool:
    sql = INDEXED.format(oid=relation.oid, name=literal(source.timestamp))
    return bool(transaction.rows(sql)[0][0])


class FeedRows:
    """New rows of one query, from poll to poll.

    Args:
        query: of the rows.
        log: takes them, and keeps the window.
        overlap: seconds by which a row may come later than rows of a later moment.
    """

    def __init__(self, query: FeedQuery, log: DeltaLog, overlap: float) -> None:
        self._query, self._log, self._overlap = query, log, overlap
        self._mark = f"follower {query.name}"
        kept = log.mark(self._mark)
        self._window = None if kept is None else Window.of_text(kept)
        self._marked_at = 0.0

    def poll(self, transaction: Transaction, at: Moment, since: datetime) -> int:
        """Append the rows from `since` on that are new; how many.

        After an error the object is of no more use: the log knows from where to go on.
        """
        blocks, relation = self._size(transaction)
        first = int(since.replace(tzinfo=UTC).timestamp())
        window = self._window
        if window is None or not window.fits(relation, first, at):
            window = None
        sql = self._query.after(since, window, blocks)
        # A plan for all rows: a cursor's usual one is for the first tenth.
        transaction.rows("SET LOCAL cursor_tuple_fraction = 1")
        transaction.rows(f"DECLARE feedrank NO SCROLL CURSOR FOR {sql}")
        reached = first - ZONES if window is None else window.reached
        if self._query.by_blocks:
            reached = max(blocks - SLACK_BLOCKS, 0)
        self._window = window or Window(relation, first, at)
        n_new, is_last = 0, False
        while not is_last:
            rows = transaction.rows(f"FETCH {BATCH} FROM feedrank")
            is_last = len(rows) < BATCH
            if rows and not self._query.by_blocks:
                reached = max(reached, int(max(row[4] for row in rows) - self._overlap))
            if is_last:
                self._window.polled(at, reached)
            n_new += self._append(rows, is_last)
        transaction.rows("CLOSE feedrank")
        return n_new

    def _append(self, rows: list[tuple[Any, ...]], is_last: bool) -> int:
        """Append events; with the last ones, the window that they complete."""
        if not rows and time.monotonic() - self._marked_at < MARK_SECONDS:
            return 0  # the window that is kept is longer than needed, which costs a moment
        marks = None
        if is_last and self._window is not None:
            marks, self._marked_at = {self._mark: self._window.text()}, time.monotonic()
        return self._log.append(Happened([(*row[:4], None) for row in rows], marks=marks))

    def _size(self, transaction: Transaction) -> tuple[int, tuple[int, int, int]]:
        """Blocks of the table as of now, and the numbers by which a window knows it."""
        relation, by_blocks = self._query.relation, int(self._query.by_blocks)
        if not relation.is_stored:
            return 0, (relation.oid, 0, by_blocks)
        ((size, file),) = transaction.rows(
            f"SELECT pg_relation_size({relation.oid}) / current_setting('block_size')::int, "
            f"pg_relation_filenode({relation.oid})"
        )
        if size is None:
            raise SchemaError(f"table '{relation.name}' is gone. Make it again.")
        return int(size), (relation.oid, int(file), by_blocks)
