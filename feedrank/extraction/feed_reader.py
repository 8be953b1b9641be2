"""The feed of one moment into a spool: from blocks, from a stream, or from a former log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property
from typing import Any

from feedrank.extraction.audit.day_counts import day_date, day_name
from feedrank.extraction.postgres.copy_reader import (
    BlockRange,
    Keep,
    block_ranges,
    read_ranges,
    read_stream,
)
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.postgres.row_format import WireRows
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.previous_log import FormerLog
from feedrank.extraction.source_state import SourceState
from feedrank.extraction.spool.chunks import Spool
from feedrank.extraction.spool.encoder import Encoder
from feedrank.io.progress import Progress, say
from feedrank.params import ExtractParams


@dataclass(frozen=True)
class Reading:
    """One attempt to read a feed into a spool.

    Attributes:
        moment: what is known of it before the feed is read.
        params: what is read.
        encoder: of its rows.
        spool: where they go.
        former: a log that holds some of them already.
    """

    moment: SourceState
    params: ExtractParams
    encoder: Encoder
    spool: Spool
    former: FormerLog | None

    def start_or_continue(self) -> None:
        """Keep the spool's chunks if they are still what would be read, else forget them."""
        if self.spool.state != self._state:
            if self.spool.state is not None:
                say("source or parameters changed since the run that was stopped; starting over.")
            self.spool.start(self._state)
            return
        kept = self.spool.keep_whole_chunks()
        if kept and not self._has_blocks and not self._is_complete():
            say(f"'{self._name}' is {self._kind}, with no blocks to continue from; starting over.")
            self.spool.start(self._state)
        elif kept:
            say(f"continuing after {len(kept)} chunks that the run that was stopped left.")

    def read(self, snapshot: Snapshot) -> None:
        """Read what the spool lacks."""
        self._take_former()
        wanted, there = self.moment.days.total.views, self.spool.days().total.views
        with Progress(wanted, there) as progress:
            if self._is_complete():
                return
            if self._has_blocks:
                self._read_blocks(snapshot, progress)
            else:
                self._read_stream(snapshot, progress)

    @cached_property
    def _state(self) -> dict[str, Any]:
        since = None if self.former is None else day_name(self.former.since)
        return {**self.moment.state(self.params), "since": since}

    @cached_property
    def _sql(self) -> FeedSql:
        if self.former is None:
            return self.moment.sql
        return self.moment.sql.since(datetime.combine(day_date(self.former.since), time()))

    def _take_former(self) -> None:
        if self.former is None:
            return
        last = day_name(self.former.since - 1)
        say(f"days up to {last} are as they were and not read again.")
        there = set(self.spool.names())
        for name, chunk in self.former.chunks(self.encoder):
            if name not in there:
                self.spool.add(name, chunk)

    def _read_blocks(self, snapshot: Snapshot, progress: Progress) -> None:
        there = set(self.spool.names())
        missing = [r for r in self._ranges() if r.name not in there]
        read_ranges(snapshot, self._sql, missing, self._keeper(progress))

    def _ranges(self) -> list[BlockRange]:
        total = self.moment.days.total
        rows = total.views + total.likes
        return block_ranges(self._sql.relation.blocks, rows, self.params.chunk_rows)

    def _read_stream(self, snapshot: Snapshot, progress: Progress) -> None:
        say(f"'{self._name}' is {self._kind}: reading it as one stream over one connection.")
        read_stream(snapshot.first, self._sql, self.params.chunk_rows, self._keeper(progress))

    def _keeper(self, progress: Progress) -> Keep:
        def keep(name: str, rows: WireRows) -> None:
            self.spool.add(name, self.encoder.chunk(rows))
            progress.add(len(rows))

        return keep

    def _is_complete(self) -> bool:
        wanted = self.moment.days.views_only().without_checks()
        return self.spool.days().first_difference(wanted) is None

    @property
    def _has_blocks(self) -> bool:
        return self.moment.sql.relation.has_blocks

    @property
    def _name(self) -> str:
        return self.moment.sql.relation.name

    @property
    def _kind(self) -> str:
        return self.moment.sql.relation.kind
