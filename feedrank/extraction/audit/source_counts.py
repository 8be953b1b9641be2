"""Counts of the feed by the source itself, and the refusal of unknown actions and targets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from feedrank.errors import SchemaError
from feedrank.extraction.audit.day_counts import Day, Days
from feedrank.extraction.postgres.connection import Transaction
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.schema import LIKE, VIEW

PARTS = 2  # ranges for each connection: from 1 on, more only even out their lengths


def count_days(snapshot: Snapshot, sql: FeedSql, connections: int, with_checks: bool) -> Days:
    """The source's own counts by day, with all actions and targets checked.

    Raises:
        SchemaError: there are no impressions, or actions or targets that cannot be used.
    """
    found = count_rows(snapshot, sql, connections, with_checks)
    if any(kind not in (0, 1, None) for _, kind, *_ in found):
        raise _strange(snapshot.first, sql)
    days = _gathered((day, _day(kind, n, check)) for day, kind, n, check in found)
    without_time = days.pop(None, Day())
    result = Days({d: day for d, day in days.items() if d is not None}, without_time)
    if not (result.with_likes_apart() if sql.likes_apart else result).total.views:
        where = " in the window of 'extract.since' and 'extract.until'" if sql.where else ""
        raise SchemaError(
            f"table '{sql.relation.name}' holds no rows of action '{VIEW}'{where}. "
            "Fill it, or widen the window."
        )
    return result


def count_rows(
    snapshot: Snapshot, sql: FeedSql, connections: int, with_checks: bool
) -> list[tuple[Any, ...]]:
    """Rows of `FeedSql.summary`, from ranges of the table that are counted in parallel.

    The ranges differ from those of a reader, and the last one is open, so that an error in a
    reader's ranges shows.
    """
    if not sql.relation.has_blocks:
        # The same transaction reads a stream: behind a foreign table, another one would see
        # another moment, since a snapshot holds for one server.
        return snapshot.first.rows(sql.summary(None, with_checks))
    parts = _parts(sql.relation.blocks, connections)
    tasks = [partial(Transaction.rows, statement=sql.summary(part, with_checks)) for part in parts]
    return [row for rows in snapshot.each(tasks) for row in rows]


def _parts(blocks: int, connections: int) -> list[tuple[int, int | None]]:
    n_parts = connections * PARTS
    bounds = [part * blocks // n_parts for part in range(n_parts)]
    return list(zip(bounds, [*bounds[1:], None], strict=True))


def _gathered(rows: Iterable[tuple[int | None, Day]]) -> dict[int | None, Day]:
    days: dict[int | None, Day] = {}
    for number, day in rows:
        days[number] = days.get(number, Day()) + day
    return days


def _day(kind: int | None, n: int, check: int | None) -> Day:
    if kind is None:
        return Day(likes=n)
    total, is_liked = int(check or 0), int(kind == 1)
    return Day(views=n, liked=n * is_liked, check=total, liked_check=total * is_liked)


def _strange(transaction: Transaction, sql: FeedSql) -> SchemaError:
    column, wanted = "action", f"'{VIEW}' and '{LIKE}'"
    remedy = "filters such rows out"
    values = transaction.rows(sql.strange(column))
    if not values:
        column, wanted = "target", f"0 and 1 in rows of action '{VIEW}'"
        values = transaction.rows(sql.strange(column))
        if (None,) in values:
            remedy += ", or has coalesce(target, 0) if NULL means 'not liked'"
    found = ", ".join(sorted(f"'{'NULL' if v is None else v}'" for (v,) in values))
    return SchemaError(
        f"column '{column}' of '{sql.relation.name}' must hold {wanted}, but also holds {found}. "
        f"Make a view that {remedy}, and name it in group 'source' of params.yaml."
    )
