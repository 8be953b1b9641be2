"""Clock of the log: the offsets from UTC of its time zone, as the database knows them."""

from __future__ import annotations

from datetime import timedelta

from feedrank.extraction.audit.day_counts import Days, day_date
from feedrank.extraction.postgres.connection import Transaction, literal
from feedrank.log.metadata import Offsets

# Requests of the months after the log's end are logged as exposures, on its clock too.
DAYS_AFTER = 366
# All changes since 1972 were at a quarter of an hour, UTC.
OFFSETS = """
    SELECT since, shift FROM (
      SELECT extract(epoch FROM at)::bigint AS since, shift, lag(shift) OVER (ORDER BY at) AS before
      FROM generate_series(timestamptz '{first} 00:00+00', timestamptz '{last} 00:00+00',
          interval '15 min') AS at,
        LATERAL (SELECT extract(epoch FROM (at AT TIME ZONE {zone})
          - (at AT TIME ZONE 'UTC'))::int AS shift) AS shifts) AS moments
    WHERE shift IS DISTINCT FROM before ORDER BY since"""


def read_offsets(transaction: Transaction, zone: str, days: Days) -> Offsets:
    """Offsets of a zone during a feed and a year after it.

    The database is asked, since it reads the rows: a Python of another year may have other rules.
    """
    first, last = day_date(days.first - 1), day_date(days.last) + timedelta(days=DAYS_AFTER)
    found = transaction.rows(OFFSETS.format(first=first, last=last, zone=literal(zone)))
    return tuple((int(since), int(shift)) for since, shift in found)
