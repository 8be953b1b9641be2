"""Counts of impressions by day, of the source and of the rows that were read."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from feedrank.errors import SourceError
from feedrank.log.metadata import SECONDS_A_DAY

EPOCH = date(2000, 1, 1)  # days are counted from PostgreSQL's own
MOST_DAYS = (1 << 32) // SECONDS_A_DAY  # of a log, whose times are uint32


class Disproved(SourceError):
    """The rows that were read are not those that the source counts."""


@dataclass(frozen=True)
class Day:
    """Rows of one day.

    Attributes:
        views: impressions.
        liked: impressions that were liked.
        likes: rows of action 'like'.
        check: sum of the checksums of all impressions; 0 without checksums.
        liked_check: of those that were liked.
    """

    views: int = 0
    liked: int = 0
    likes: int = 0
    check: int = 0
    liked_check: int = 0

    def __add__(self, other: Day) -> Day:
        return Day(*map(operator.add, astuple(self), astuple(other)))

    def with_likes_apart(self) -> Day:
        """The day, if its liked rows are rows of likes, which are then no views."""
        return replace(self, views=self.views - self.liked, likes=self.liked)


@dataclass(frozen=True)
class Days:
    """Rows of each day that has any, keyed by days since 2000-01-01, and rows without a time."""

    days: dict[int, Day]
    without_time: Day = Day()

    @property
    def total(self) -> Day:
        """All days together."""
        return sum(self.days.values(), Day())

    @property
    def first(self) -> int:
        """The first day with an impression."""
        return min(d for d, day in self.days.items() if day.views)

    @property
    def last(self) -> int:
        """The last day with an impression."""
        return max(d for d, day in self.days.items() if day.views)

    def as_json(self) -> dict[str, Any]:
        """The counts as JSON values, days by number and in order: some have no name in Python."""
        days = {str(d): asdict(self.days[d]) for d in sorted(self.days)}
        return {"days": days, "without_time": asdict(self.without_time)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Days:
        """The counts that `as_json` gave."""
        days = {int(number): Day(**day) for number, day in values["days"].items()}
        return cls(days, Day(**values["without_time"]))

    def first_difference(self, other: Days) -> int | None:
        """The first day on which two counts differ; None where they are equal."""
        return min(
            (d for d in self.days.keys() | other.days.keys() if self._at(d) != other._at(d)),
            default=None,
        )

    def without_checks(self) -> Days:
        """Counts without checksums."""
        days = {d: replace(day, check=0, liked_check=0) for d, day in self.days.items()}
        return Days(days, replace(self.without_time, check=0, liked_check=0))

    def views_only(self) -> Days:
        """Counts without rows of action 'like', and without days that have nothing else."""
        views = {d: replace(day, likes=0) for d, day in self.days.items() if day.views}
        return Days(views)

    def with_likes_apart(self) -> Days:
        """Counts whose liked rows are rows of likes, which are then no views."""
        return Days(
            {d: day.with_likes_apart() for d, day in self.days.items()},
            self.without_time.with_likes_apart(),
        )

    def _at(self, day: int) -> Day:
        return self.days.get(day, Day())


def prove_equal(read: Days, counted: Days) -> None:
    """Compare the impressions that were read with the source's own counts.

    Raises:
        Disproved: they differ; the message names the first day.
    """
    expected = counted.views_only()
    day = read.first_difference(expected)
    if day is None:
        return
    found, wanted = read._at(day), expected._at(day)
    raise Disproved(
        f"what was read is not what the database counts on {day_name(day)}: {found.views} "
        f"impressions of which {found.liked} liked, checksums {found.check} and "
        f"{found.liked_check}, against {wanted.views}, {wanted.liked}, {wanted.check} and "
        f"{wanted.liked_check}."
    )


def days_of(at: np.ndarray, liked: np.ndarray, checks: np.ndarray | None = None) -> Days:
    """Counts of impressions.

    Args:
        at: seconds since 2000-01-01, int64, shape (n,).
        liked: 0 or 1, shape (n,).
        checks: checksums in the range of int32, shape (n,). Sums are float64, so those of a day are
            exact for up to 2^22 impressions.
    """
    if not len(at):
        return Days({})
    day = at // SECONDS_A_DAY
    first = int(day.min())
    day -= first
    n_days = int(day.max()) + 1
    day *= 2
    day += liked
    views = np.bincount(day, minlength=2 * n_days).reshape(n_days, 2)
    sums = np.zeros((n_days, 2))
    if checks is not None:
        sums += np.bincount(day, checks, 2 * n_days).reshape(n_days, 2)
    return Days(
        {
            first + d: Day(
                views=int(views[d].sum()),
                liked=int(views[d, 1]),
                check=int(sums[d].sum()),
                liked_check=int(sums[d, 1]),
            )
            for d in np.flatnonzero(views.any(axis=1)).tolist()
        }
    )


def sum_days(parts: Iterable[Days]) -> Days:
    """Counts of several parts together; rows without a time are left out."""
    total: dict[int, Day] = {}
    for part in parts:
        for number, day in part.days.items():
            total[number] = total.get(number, Day()) + day
    return Days(total)


def day_date(day: int) -> date:
    """The date of a day's number."""
    return EPOCH + timedelta(days=day)


def midnight(day: int) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day_date(day), time())


def day_name(day: int) -> str:
    """A day as in '2021-10-01'."""
    return day_date(day).isoformat()


def day_number(name: str) -> int:
    """Days from 2000-01-01 to a day."""
    return (date.fromisoformat(name) - EPOCH).days
