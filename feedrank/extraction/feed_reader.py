"""Feed reader: a feed into a spool, by blocks, as a stream, or from a previous log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from feedrank.extraction.audit.day_counts import day_name, midnight
from feedrank.extraction.postgres.copy_reader import Keep, block_ranges, read_ranges, read_stream
from feedrank.extraction.postgres.feed_query import FeedSql
from feedrank.extraction.postgres.row_format import WireRows
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.previous_log import PreviousLog
from feedrank.extraction.source_state import SourceState
from feedrank.extraction.spool.chunks import Spool
from feedrank.extraction.spool.encoder import Encoder
from feedrank.io.progress import reading
from feedrank.params import ExtractParams

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeedReader:
    """One attempt to read a feed into a spool.

    Attributes:
        state: of the source.
        params: group `extract` of `params.yaml`.
        encoder: of the feed's rows.
        spool: takes the chunks.
        previous: a log that holds some of the rows already.
    """

    state: SourceState
    params: ExtractParams
    encoder: Encoder
    spool: Spool
    previous: PreviousLog | None

    def start_or_continue(self) -> None:
        """Keep the spool's chunks if this attempt would read the same ones, else remove them."""
        if self.spool.state != self._spool_state:
            if self.spool.state is not None:
                logger.info(
                    "extract: source or parameters changed since the run that was stopped; "
                    "starting over."
                )
            self.spool.start(self._spool_state)
            return
        kept = self.spool.keep_whole_chunks()
        relation = self.state.sql.relation
        if kept and not relation.has_blocks and not self._is_complete():
            logger.info(
                f"extract: '{relation.name}' is {relation.kind}, with no blocks to continue from; "
                "starting over."
            )
            self.spool.start(self._spool_state)
        elif kept:
            logger.info(
                f"extract: continuing after {len(kept)} chunks that the run that was stopped left."
            )

    def read(self, snapshot: Snapshot) -> None:
        """Read the rows that the spool lacks."""
        self._take_previous()
        total, kept = self.state.days.total.views, self.spool.days().total.views
        with reading(total, kept) as count:
            if self._is_complete():
                return
            if self.state.sql.relation.has_blocks:
                self._read_blocks(snapshot, self._keeper(count))
            else:
                self._read_stream(snapshot, self._keeper(count))

    @cached_property
    def _spool_state(self) -> dict[str, Any]:
        since = None if self.previous is None else day_name(self.previous.since)
        return {**self.state.of_chunks(self.params), "since": since}

    @cached_property
    def _sql(self) -> FeedSql:
        if self.previous is None:
            return self.state.sql
        return self.state.sql.between(midnight(self.previous.since), None)

    def _take_previous(self) -> None:
        if self.previous is None:
            return
        last = day_name(self.previous.since - 1)
        logger.info(f"extract: days up to {last} are as they were and not read again.")
        there = set(self.spool.names())
        for name, chunk in self.previous.chunks(self.encoder):
            if name not in there:
                self.spool.add(name, chunk)

    def _read_blocks(self, snapshot: Snapshot, keep: Keep) -> None:
        there, blocks = set(self.spool.names()), self._sql.relation.blocks
        ranges = block_ranges(blocks, self.state.rows_a_block, self.params.chunk_rows)
        missing = [r for r in ranges if r.name not in there]
        read_ranges(snapshot, self._sql, missing, keep)

    def _read_stream(self, snapshot: Snapshot, keep: Keep) -> None:
        relation = self._sql.relation
        logger.info(
            f"extract: '{relation.name}' is {relation.kind}: reading it as one stream over one "
            "connection."
        )
        read_stream(snapshot.first, self._sql, self.params.chunk_rows, keep)

    def _keeper(self, count: Callable[[int], None]) -> Keep:
        def keep(name: str, rows: WireRows) -> None:
            self.spool.add(name, self.encoder.chunk(rows))
            count(len(rows))

        return keep

    def _is_complete(self) -> bool:
        wanted = self.state.days.views_only().without_checks()
        return self.spool.days().first_difference(wanted) is None
