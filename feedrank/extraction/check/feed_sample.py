"""Sample of a feed: counts by day from some blocks, and what they say of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from feedrank.errors import SchemaError
from feedrank.extraction.audit.day_counts import EPOCH, Day, Days
from feedrank.extraction.audit.impossible_times import PossibleTimes, safe_name
from feedrank.extraction.check.sample_query import SampleQuery, is_part
from feedrank.extraction.postgres.catalog import Relation, describe
from feedrank.extraction.postgres.connection import Transaction, literal
from feedrank.extraction.postgres.feed_query import id_key
from feedrank.extraction.relations import relations
from feedrank.params import Params
from feedrank.schema import LIKE, VIEW

# The like rate of one day in a sample of 90 days is known to 0.7 points: a day that differs from
# all by a factor of three is no chance.
FACTOR, FEWEST = 3, 500
QUERY = """
    WITH sample AS ({rows})
    SELECT CASE WHEN isfinite(at) THEN at::date - date '2000-01-01' END,
      count(*) FILTER (WHERE a = {view}), count(*) FILTER (WHERE a = {view} AND t = 1),
      count(*) FILTER (WHERE a = {like}),
      count(*) FILTER (WHERE (a IN ({view}, {like})) IS NOT TRUE),
      count(*) FILTER (WHERE a = {view} AND (t IN (0, 1)) IS NOT TRUE),
      count(*) FILTER (WHERE u IS NULL OR p IS NULL),
      count(*) FILTER (WHERE u IS NOT NULL AND users.id IS NULL),
      count(*) FILTER (WHERE p IS NOT NULL AND posts.id IS NULL),
      count(*) FILTER (WHERE a = {view})
        - count(DISTINCT ROW(u, p, at, {label})) FILTER (WHERE a = {view}),
      to_char(max(at) FILTER (WHERE isfinite(at)), 'YYYY-MM-DD HH24:MI'),
      coalesce(max(at) FILTER (WHERE isfinite(at)) > {now} + interval '5 min', false)
    FROM sample LEFT JOIN (SELECT DISTINCT {user_id} AS id FROM {users}) AS users ON users.id = u
      LEFT JOIN (SELECT DISTINCT {post_id} AS id FROM {posts}) AS posts ON posts.id = p
    GROUP BY 1"""


@dataclass(frozen=True)
class FeedSample:
    """Counts of a sample.

    Attributes:
        n_rows: of the feed, about, that an extract reads: `extract.since`, `.until`, `.user_share`.
        n: rows of the sample.
        days: its impressions and likes, by day.
        strange_actions: rows of another action than 'view' and 'like'.
        strange_targets: impressions whose target is neither 0 nor 1.
        nulls: rows without user or post.
        orphans: rows of users or posts that their tables lack.
        duplicates: impressions that repeat user, post and time of another one.
        newest: the last moment, on the log's clock, as text: not all are Python's.
        is_ahead: it is later than `now`.
        now: of the server's clock, on the log's.
        likes_apart: likes are rows, of which a sample holds another share than of impressions.
        has_zone: every column of times is a `timestamptz`.
    """

    params: Params
    n_rows: int
    n: int
    days: Days
    strange_actions: int
    strange_targets: int
    nulls: int
    orphans: int
    duplicates: int
    newest: str
    is_ahead: bool
    now: datetime
    likes_apart: bool
    has_zone: bool

    @classmethod
    def of(cls, transaction: Transaction, feed: Relation, params: Params) -> FeedSample:
        """A sample of blocks spread over a table, or the first rows of anything else."""
        source = params.source
        users, posts, _ = relations(transaction, source)
        query, now = SampleQuery.of(transaction, feed, params), _now(source.time_zone)
        likes_apart = query.sql.likes_apart
        rows = transaction.rows(
            QUERY.format(
                rows=query.rows, view=literal(VIEW), like=literal(LIKE),
                label="t" if likes_apart else "0", now=now,
                user_id=id_key(users, source.user_id, "id"), users=users.path,
                post_id=id_key(posts, source.post_id, "id"), posts=posts.path,
            )
        )  # fmt: skip
        sums = [sum(row[column] for row in rows) for column in range(1, 10)]
        n = sums[0] + sums[2] + sums[3]
        days = Days({row[0]: Day(row[1], row[2], row[3]) for row in rows if row[0] is not None})
        last = max((row for row in rows if row[0] is not None), default=None)
        return cls(
            params=params,
            n_rows=query.n_read(n),
            n=n,
            days=days.with_likes_apart() if likes_apart else days,
            strange_actions=sums[3],
            strange_targets=sums[4],
            nulls=sums[5],
            orphans=sums[6] + sums[7],
            duplicates=sums[8],
            newest="" if last is None else last[10],
            is_ahead=last is not None and last[11],
            now=transaction.rows(f"SELECT {now}")[0][0],
            likes_apart=likes_apart,
            has_zone=_has_zone(transaction, params),
        )

    def problems(self) -> Iterator[str]:
        """What stops an extract."""
        source, most = self.params.source, self.params.extract.max_orphan_share
        if self.strange_actions:
            yield (
                f"column '{source.action}' of '{source.feed}' holds other values than '{VIEW}' "
                f"and '{LIKE}' in {self.strange_actions:,} of {self.n:,} rows. Make a view that "
                "filters such rows out."
            )
        if self.strange_targets:
            yield (
                f"column '{source.target}' of '{source.feed}' is neither 0 nor 1 in "
                f"{self.strange_targets:,} views. Make a view that has coalesce(target, 0) if NULL "
                "means 'not liked'."
            )
        if (error := self._times()[1]) is not None:
            yield error
        if not self.days.total.views:
            part = " that an extract reads, in a sample" if is_part(self.params.extract) else ""
            yield f"'{source.feed}' holds no rows of action '{VIEW}'{part}. Fill it."
        elif not self.days.total.liked:
            words = (
                f"no row is one of {source.positive}"
                if self.likes_apart
                else (f"no view has {source.target} 1")
            )
            yield f"of '{source.feed}', {words}: there is nothing to learn."
        if self.orphans + self.nulls > most * self.n > 0:
            yield (
                f"{self.orphans:,} of {self.n:,} rows are of users or posts that their tables "
                f"lack, {self.nulls:,} of none. Add them (deleted posts: 'source.hidden'), or "
                f"raise 'extract.max_orphan_share' (now {most})."
            )

    def warnings(self) -> Iterator[str]:
        """What a build survives, but a person should know."""
        if self.is_ahead:
            zone = self.params.source.time_zone
            remedy = "Mend the clock that wrote it" if self.has_zone else "Name the zone of the log"
            yield (
                f"the newest row ({self.newest}) is later than the server's clock "
                f"in 'source.time_zone' ({self.now:%Y-%m-%d %H:%M} in {zone}). {remedy}."
            )
        times = self._times()[0]
        if times is not None and (words := times.warning()) is not None:
            yield words
        yield from self._days()

    @property
    def size(self) -> str:
        """How many rows an extract reads, in words that follow the kind of the feed."""
        part = ", of which an extract reads" if is_part(self.params.extract) else " of"
        return f"{part} about {self.n_rows:,} rows"

    def facts(self) -> Iterator[str]:
        """Span, like rate, and what is counted once."""
        total = self.days.total
        if total.views:
            liked = f"{total.liked / total.views:.4f} of them liked"
            if self.likes_apart:
                liked = f"{total.liked:,} likes"
            yield (
                f"{total.views:,} views in {self.n:,} rows looked at, "
                f"{liked}, {safe_name(self.days.first)} to {safe_name(self.days.last)}."
            )
        if self.duplicates:
            yield (
                f"{self.duplicates:,} of {self.days.total.views:,} views repeat user, post and "
                "time of another one, and count once: as liked, if one of them is."
            )
        words = "converted to" if self.has_zone else "taken to be in"
        yield f"times are {words} {self.params.source.time_zone}."

    def _times(self) -> tuple[PossibleTimes | None, str | None]:
        """What the extract's rule makes of the sample's days, or why it refuses them."""
        if not self.days.total.views:
            return None, None
        today = (self.now.date() - EPOCH).days
        try:
            return PossibleTimes.of(self.days, today, self.params.extract), None
        except SchemaError as error:
            return None, str(error)

    def _days(self) -> Iterator[str]:
        """Days whose like rate is far from that of all, as after a change of what is logged."""
        total = self.days.total
        rate = total.liked / total.views if total.views else 0.0
        odd = [
            safe_name(d)
            for d, day in sorted(self.days.days.items())
            if not self.likes_apart
            and day.views >= FEWEST
            and not rate / FACTOR <= day.liked / day.views <= rate * FACTOR
        ]
        if odd:
            yield (
                f"the like rate of {len(odd)} days, such as {', '.join(odd[:3])}, is not within a "
                f"factor of {FACTOR} of all ({rate:.4f}). If likes were not logged then, set "
                "'extract.since' or 'extract.until'."
            )


def _now(time_zone: str) -> str:
    return f"(now() AT TIME ZONE {literal(time_zone)})"


def _has_zone(transaction: Transaction, params: Params) -> bool:
    source = params.source
    tables = (describe(transaction, source.schema, t) for t in (source.feed, source.events) if t)
    return all(t.columns[source.timestamp] == "timestamptz" for t in tables)
