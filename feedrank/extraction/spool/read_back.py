"""Counts and checksums of rows in a spool, for comparison with the source's own."""

from __future__ import annotations

from collections.abc import Iterator

from feedrank.extraction.audit.day_counts import Days, days_of, sum_days
from feedrank.extraction.postgres.row_format import Layout, WireRows
from feedrank.extraction.spool.chunks import Spool
from feedrank.extraction.spool.encoder import Encoder


def checked_days(rows: WireRows, layout: Layout) -> Days:
    """Counts and checksums of rows."""
    return days_of(rows.at, rows.liked, layout.checksums(rows))


def spool_days(spool: Spool, encoder: Encoder, layout: Layout) -> Days:
    """Counts and checksums of everything in a spool, read back from disk."""
    return sum_days(checked_days(rows, layout) for rows in _rows(spool, encoder))


def _rows(spool: Spool, encoder: Encoder) -> Iterator[WireRows]:
    for name in spool.names():
        for bucket in range(len(encoder.bounds) - 1):
            yield encoder.rows(spool.part(name, bucket), bucket)
        dropped = spool.dropped_of(name)
        yield WireRows(**{column: dropped[column] for column in dropped.dtype.names or ()})
