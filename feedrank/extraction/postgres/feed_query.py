"""SQL of the feed: counts by day, and impressions by range of blocks or as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import literal, quoted
from feedrank.extraction.postgres.row_format import Layout
from feedrank.params import ExtractParams, SourceParams
from feedrank.schema import LIKE, VIEW

WHOLE = ("int2", "int4", "int8")
IDS = (*WHOLE, "text", "varchar", "bpchar", "uuid", "numeric")
ID_WORDS = "whole numbers, text or uuid"
TIMES = ("timestamp", "timestamptz", "date")
NUMBERS = (*WHOLE, "bool", "float4", "float8", "numeric")
STRANGE = 2  # kind of a row whose action or target is unknown: any number but 0 and 1
TODAY = "SELECT now()::date - date '2000-01-01'"  # by the server's clock, in UTC
SHARES = 1 << 20  # buckets of the users' hash; their number is the resolution of a share


@dataclass(frozen=True)
class FeedSql:
    """Statements for one feed table; its columns are SQL expressions of a fixed clock and type.

    Where likes are rows apart (`source.like_window`), they are read as views are, with a target of
    1 where views have 0: `spool/labels.py` brings the two together.
    """

    relation: Relation
    at: str
    user: str
    post: str
    action: str
    target: str
    layout: Layout
    where: tuple[str, ...]
    likes_apart: bool

    @classmethod
    def of(
        cls,
        relation: Relation,
        source: SourceParams,
        extract: ExtractParams | None,
        layout: Layout,
    ) -> FeedSql:
        """Statements for the window and users of `extract`; without it, for the whole table.

        Raises:
            SchemaError: the table lacks a column, or one is of a type that cannot be read.
        """
        user, post = (id_key(relation, name) for name in (source.user_id, source.post_id))
        action = f"{quoted(relation.column(source.action))}::text"
        at = moment(relation, source.timestamp, source.time_zone)
        apart = source.like_window is not None
        chosen = (any_of(action, [VIEW, *source.positive]),) if apart else ()
        if extract is not None:
            chosen = (
                *chosen,
                *window(at, extract.since_at, extract.until_at),
                *share(user, extract),
            )
        return cls(
            relation=relation,
            at=at,
            user=user,
            post=post,
            action=f"{literal(VIEW)}::text" if apart else action,
            target=_is_like(action) if apart else label(relation, source),
            layout=layout,
            where=chosen,
            likes_apart=apart,
        )

    def between(self, since: datetime | None, until: datetime | None) -> FeedSql:
        """The same statements for rows of [since, until); None leaves an end open."""
        return replace(self, where=(*self.where, *window(self.at, since, until)))

    def with_a_time(self) -> FeedSql:
        """The same statements for rows that have a finite time."""
        return replace(self, where=(*self.where, f"isfinite({self.at})"))

    def summary(self, blocks: tuple[int, int | None] | None, with_checks: bool) -> str:
        """Query of (day, kind, rows, sum of checksums) for a range of blocks, or for all.

        The day is NULL for rows without a time. The kind is a view's target, NULL for a like, and
        any other number for an unknown action or target.
        """
        check = "0"
        if with_checks:
            of_row = self.layout.check(self.at, self.user, self.post, self.target)
            # NaN and numbers beyond a bigint fail in a checksum; the kind names them.
            usable = f"{self._is_view()} AND {self.target} IN (0, 1)"
            check = f"sum({of_row}) FILTER (WHERE {usable})"
        return f"""
            SELECT CASE WHEN isfinite(day) THEN day::date - date '2000-01-01' END, kind, n, checks
            FROM (
              SELECT {self._day()} AS day, {self._kind()} AS kind, count(*) AS n,
                {check} AS checks
              FROM {self.relation.path} {all_of((*_range(blocks), *self.where))}
              GROUP BY 1, 2) AS days"""

    def strange(self, column: str) -> str:
        """Query of a few unknown values of 'action' or 'target'."""
        value, condition = {
            "action": (self.action, f"{self.action} IN ({literal(VIEW)}, {literal(LIKE)})"),
            "target": (self.target, f"{self.target} IN (0, 1) OR NOT {self._is_view()}"),
        }[column]
        where = all_of((*self.where, f"({condition}) IS NOT TRUE"))
        return f"SELECT DISTINCT ({value})::text FROM {self.relation.path} {where} LIMIT 5"

    def chunk(self, first: int, last: int) -> str:
        """Query of one value: all impressions of the blocks [first, last), glued together."""
        return (
            f"SELECT string_agg({self._record()}, ''::bytea) FROM {self.relation.path} "
            f"{self._views(*_range((first, last)))}"
        )

    def stream(self) -> str:
        """Query of one value for each impression, in no order."""
        return f"SELECT {self._record()} FROM {self.relation.path} {self._views()}"

    def _record(self) -> str:
        return self.layout.record(self.at, self.user, self.post, self.target)

    def _views(self, *conditions: str) -> str:
        return all_of((*conditions, *self.where, self._is_view()))

    def _is_view(self) -> str:
        return f"{self.action} = {literal(VIEW)}"

    def _day(self) -> str:
        # Arithmetic in place of the calendar, a tenth of the count; servers before 14 lack it.
        if self.relation.has_blocks:
            return f"date_bin('1 day', {self.at}, timestamp '2000-01-01')"
        return f"({self.at})::date"

    def _kind(self) -> str:
        return (
            f"CASE {self.action} WHEN {literal(VIEW)} THEN coalesce({self.target}, {STRANGE}) "
            f"WHEN {literal(LIKE)} THEN NULL ELSE {STRANGE} END"
        )


def id_key(relation: Relation, name: str, *others: str) -> str:
    """Expression of the whole number that stands for an id: itself, or a 64-bit hash of its text.

    Two of a million ids share a hash with a chance of 1 in 37 million; tables of users and posts
    are checked for it. Like `hashint8`, the hash is the same in every version.

    Raises:
        SchemaError: there is no such column, or it is of a type that is no id.
    """
    name = relation.column(name, *others)
    if relation.typed(name, IDS, ID_WORDS) in WHOLE:
        return quoted(name)
    return f'hashtextextended({id_text(relation, name)} COLLATE "C", 0)'


def id_text(relation: Relation, name: str) -> str:
    """Expression of an id's text, which is the same wherever the id is: 3 of a numeric 3.00."""
    text = f"{quoted(name)}::text"
    if relation.columns[name] != "numeric":
        return text
    return (  # `trim_scale`, which servers before 13 lack
        f"(CASE WHEN scale({quoted(name)}) > 0 THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END)"
    )


def id_family(kind: str) -> str:
    """The types of ids of which equal ones have one key, by a word for all of them."""
    return "whole" if kind in WHOLE else kind if kind in ("uuid", "numeric") else "text"


def window(at: str, since: datetime | None, until: datetime | None) -> tuple[str, ...]:
    """Conditions for times in [since, until)."""
    since_sql = () if since is None else (f"{at} >= timestamp {literal(since.isoformat())}",)
    until_sql = () if until is None else (f"{at} < timestamp {literal(until.isoformat())}",)
    return (*since_sql, *until_sql)


def share(user: str, params: ExtractParams) -> tuple[str, ...]:
    """Condition for a share of the users by hash sampling, with all rows of each.

    A smaller share is a part of a larger one. The hash is the same in every version of PostgreSQL,
    since hash partitions on disk depend on it.
    """
    if params.user_share == 1:
        return ()
    last = round(params.user_share * SHARES)
    return (f"(hashint8extended({user}::int8, 0) & {SHARES - 1}) < {last}",)


def any_of(value: str, texts: list[str]) -> str:
    """Condition for a text that is one of some."""
    return f"{value} IN ({', '.join(map(literal, texts))})"


def _range(blocks: tuple[int, int | None] | None) -> tuple[str, ...]:
    """Conditions for blocks [first, last), or from the first on."""
    if blocks is None:
        return ()
    first, last = blocks
    until = () if last is None else (f"ctid < '({last},0)'::tid",)
    return (f"ctid >= '({first},0)'::tid", *until)


def all_of(conditions: Sequence[str]) -> str:
    """Clause for rows of which all conditions hold; empty without a condition."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def moment(relation: Relation, name: str, time_zone: str) -> str:
    """Expression of a column's time on the log's clock; raises `SchemaError` if it holds none."""
    kind = relation.typed(name, TIMES, "moments")
    column = quoted(name)
    if kind == "timestamptz":
        return f"({column} AT TIME ZONE {literal(time_zone)})"
    return column if kind == "timestamp" else f"{column}::timestamp"


def _is_like(action: str) -> str:
    return f"(CASE WHEN {action} = {literal(VIEW)} THEN 0 ELSE 1 END)"


def label(relation: Relation, source: SourceParams) -> str:
    """Expression of a view's label; raises `SchemaError` if the column holds none."""
    kind = relation.typed(source.target, NUMBERS, "0 and 1")
    return f"{quoted(source.target)}::int" if kind == "bool" else quoted(source.target)
