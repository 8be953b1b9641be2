"""Previous log: its days that the source still has are not read again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from feedrank.errors import SchemaError
from feedrank.extraction.audit.day_counts import Days, day_number, sum_days
from feedrank.extraction.postgres.row_format import WireRows
from feedrank.extraction.source_state import SourceState
from feedrank.extraction.spool.chunks import DROPPED, Chunk
from feedrank.extraction.spool.encoder import Encoder, checked_days, wire_rows
from feedrank.extraction.spool.log_writer import DROPPED_FILE
from feedrank.extraction.tables.checks import keys
from feedrank.io.storage import inside, opened
from feedrank.log.files import Log
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.schema import POST_ID, USER_ID

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviousLog:
    """A log whose first days are still those of the source, by count and checksum.

    The high-water mark, `since`, is found and not chosen: rows that come late, are changed or are
    removed move it back to their own day, however old they are.

    Attributes:
        log: the log.
        first: the first kept day, in days since 2000-01-01.
        since: the first day that must be read again, likewise.
        rows_at_once: rows in memory, at most.
        likes_apart: the source holds likes as rows, which the log keeps, and views without a label.
    """

    log: Log
    first: int
    since: int
    rows_at_once: int
    likes_apart: bool

    @classmethod
    def of(cls, directory: Path, state: SourceState, rows_at_once: int) -> PreviousLog | None:
        """The log in a directory; None if there is none, or none of its days are of use."""
        first, last = state.days.first, state.days.last
        try:
            apart = state.sql.likes_apart
            whole = cls(Log.open(directory), first, last + 1, rows_at_once, apart)
            days = whole._days(state)
        except SchemaError:
            return None
        except (OSError, ValueError, LookupError) as error:
            logger.warning("extract: '%s' is damaged and of no use: %s", directory, error)
            return None
        since = days.first_difference(state.days.views_only())
        since = last + 1 if since is None else since
        return replace(whole, since=since) if since > first else None

    def chunks(self, encoder: Encoder) -> Iterator[tuple[str, Chunk]]:
        """Names and chunks of all rows of the kept days."""
        for name, rows in self._rows():
            yield f"previous-{name}", encoder.chunk(rows)

    def _days(self, state: SourceState) -> Days:
        layout = state.sql.layout
        return sum_days(checked_days(rows, layout) for _, rows in self._rows())

    def _rows(self) -> Iterator[tuple[str, WireRows]]:
        """Rows of the kept days, as the source would send them, in named parts."""
        dropped = self._dropped()
        for start in range(0, len(dropped), self.rows_at_once):
            others = dropped[start : start + self.rows_at_once]
            yield f"dropped-{start:010d}", wire_rows(others)
        for bucket in range(self.log.meta.n_buckets):
            rows, _ = self.log.between(bucket, *self._kept_seconds)
            for start in range(0, len(rows), self.rows_at_once):
                part = rows[start : start + self.rows_at_once]
                yield (
                    f"{bucket:04d}-{start:010d}",
                    WireRows(
                        user_id=keys(self.log.users, USER_ID)[part.user],
                        post_id=keys(self.log.posts, POST_ID)[part.post],
                        at=part.at + np.int64(self._origin * SECONDS_A_DAY),
                        liked=part.liked * np.uint8(not self.likes_apart),
                    ),
                )

    def _dropped(self) -> np.ndarray:
        """Rows that are no impressions of the log: the state of the source may make them some."""
        with opened(inside(self.log.directory, DROPPED_FILE)) as file:
            table = pq.read_table(file)
        rows = np.empty(len(table), DROPPED)
        for name in DROPPED.names or ():
            rows[name] = table[name].to_numpy()
        day = rows["at"] // SECONDS_A_DAY
        return rows[(self.first <= day) & (day < self.since)]

    @property
    def _kept_seconds(self) -> tuple[int, int]:
        """Kept seconds, [first, last), from the log's origin."""
        return (
            max(self.first - self._origin, 0) * SECONDS_A_DAY,
            max(self.since - self._origin, 0) * SECONDS_A_DAY,
        )

    @property
    def _origin(self) -> int:
        return day_number(self.log.meta.origin[:10])
