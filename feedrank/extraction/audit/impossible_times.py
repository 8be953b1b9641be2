"""Impossible times: a few impressions far from all others, or later than the server's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from feedrank.errors import SchemaError
from feedrank.extraction.audit.day_counts import (
    EPOCH,
    MOST_DAYS,
    Day,
    Days,
    day_name,
    day_number,
    midnight,
)
from feedrank.params import ExtractParams

# A gap is wide if it is longer than a month and than the feed has days with impressions. A feed
# that rests for a summer has no such gap; 1970 is beyond one for any feed of less than decades.
LEAST_GAP = 31
# Rows beyond a wide gap are a mistake below one in a thousand, a former life of the network above.
MOST_ROWS = 0.001
# A `timestamp` may be of a clock up to 14 hours ahead of UTC, which is tomorrow at most.
DAYS_AHEAD = 1
# Years of a log: its clock is known for the day before and for a year after, and Python has both.
FIRST_DAY, LAST_DAY = (day_number(name) for name in ("0002-01-01", "9997-12-31"))


@dataclass(frozen=True)
class PossibleTimes:
    """Days of a feed without those of impossible times.

    Attributes:
        days: what is left.
        left_out: the impossible days.
        since: first moment that is read, where something before it is left out.
        until: first moment that is no longer read, where something after it is left out.
    """

    days: Days
    left_out: Days
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, days: Days, today: int, params: ExtractParams) -> PossibleTimes:
        """The rule, applied to each end of the window that `extract` leaves open.

        Args:
            days: the source's own counts, with at least one impression.
            today: of the server's clock, in days since 2000-01-01.
            params: a moment that `since` or `until` names is never impossible.

        Raises:
            SchemaError: all impressions are later than the server's clock, or what is left spans
                more days than a log holds.
        """
        shown = sorted(d for d, day in days.days.items() if day.views)
        known = shown if params.until else [d for d in shown if d <= today + DAYS_AHEAD]
        if not known:
            raise SchemaError(
                f"all impressions are later than the server's clock ({day_name(today)}). Correct "
                "the times or the clock, or set 'extract.until' to keep them."
            )
        first, last = _core(known, days, params)
        _check_span(first, last)
        since = midnight(first) if first > shown[0] else None
        until = midnight(last + 1) if last < shown[-1] else None
        left_out = {
            d: day
            for d, day in days.days.items()
            if (since is not None and d < first) or (until is not None and d > last)
        }
        kept = {d: day for d, day in days.days.items() if d not in left_out}
        return cls(Days(kept, days.without_time), Days(left_out), since, until)

    def warning(self, likes_apart: bool = False) -> str | None:
        """How many rows are left out, of which days, and the window that keeps them.

        Args:
            likes_apart: liked rows are likes, which are counted apart.
        """
        if not self.left_out.total.views:
            return None
        total = self.left_out.total.with_likes_apart() if likes_apart else self.left_out.total
        likes = f" and {total.likes:,} likes" if likes_apart else ""
        remedies = [
            f"'extract.{key}' {which} {name}"
            for key, which, name, end in (
                ("since", "at or before", safe_name(self.left_out.first), self.since),
                ("until", "after", safe_name(self.left_out.last), self.until),
            )
            if end is not None
        ]
        return (
            f"{total.views:,} impressions{likes} have impossible times, far from all others or "
            f"later than the server's clock, and are left out: {', '.join(self.names())}. To keep "
            f"them, set {' and '.join(remedies)}."
        )

    def names(self) -> list[str]:
        """The first and last impossible days that have impressions, five at most of each end."""
        shown = sorted(d for d, day in self.left_out.days.items() if day.views)
        chosen = shown if len(shown) <= 10 else [*shown[:5], *shown[-5:]]
        return [safe_name(d) for d in chosen]


def _core(shown: list[int], days: Days, params: ExtractParams) -> tuple[int, int]:
    """First and last day after small runs beyond wide gaps are taken from both ends."""
    runs = _runs(shown)
    most = MOST_ROWS * sum(days.days[d].views for d in shown)
    while len(runs) > 1 and not params.since and _views(runs[0], days) <= most:
        runs = runs[1:]
    while len(runs) > 1 and not params.until and _views(runs[-1], days) <= most:
        runs = runs[:-1]
    return runs[0][0], runs[-1][-1]


def _check_span(first: int, last: int) -> None:
    n_days, named = last - first + 1, f"{safe_name(first)} to {safe_name(last)}"
    remedy = "Set 'extract.since' and 'extract.until' to leave out times that are not real."
    if n_days > MOST_DAYS:
        raise SchemaError(
            f"the feed spans {n_days:,} days ({named}), more than {MOST_DAYS:,}. {remedy}"
        )
    if first < FIRST_DAY or last > LAST_DAY:
        raise SchemaError(f"the impressions are of years that no log holds ({named}). {remedy}")


def _runs(shown: list[int]) -> list[list[int]]:
    """Ascending days, split at wide gaps."""
    wide = max(LEAST_GAP, len(shown))
    runs = [[shown[0]]]
    for day in shown[1:]:
        if day - runs[-1][-1] > wide:
            runs.append([])
        runs[-1].append(day)
    return runs


def _views(run: list[int], days: Days) -> int:
    return sum((days.days[d] for d in run), Day()).views


def safe_name(day: int) -> str:
    """A day's name; PostgreSQL has years that Python has not."""
    if day < (date.min - EPOCH).days:
        return "before year 1"
    return day_name(day) if day <= (date.max - EPOCH).days else "after year 9999"
