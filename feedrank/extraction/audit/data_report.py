"""Data report: counts of a log and of the impressions left out, for people and DVC's plots."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from feedrank.extraction.audit.day_counts import Days, day_name
from feedrank.extraction.audit.impossible_times import PossibleTimes
from feedrank.io.tables import write_csv
from feedrank.log.metadata import LogMeta

REPORT, PLOT = "data.json", "data_by_day.csv"


@dataclass(frozen=True)
class Dropped:
    """Impressions that a log leaves out, each counted once.

    Attributes:
        unknown_user: their user is NULL, or not in the users' table.
        unknown_post: their user is known, but not their post.
        without_time: their time is NULL or infinite.
        impossible_time: their time is far from all others, or later than the server's clock.
    """

    unknown_user: int
    unknown_post: int
    without_time: int
    impossible_time: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class RowsOfLikes:
    """What became of likes that are rows apart.

    Attributes:
        stray: they are of no impression.
        dropped: their user, post or time is none that the log has.
    """

    stray: int
    dropped: int


def write_report(
    report: Path,
    plot: Path,
    meta: LogMeta,
    times: PossibleTimes,
    left_out_columns: dict[str, str],
    dropped: Dropped,
    n_repeats: int,
    likes: RowsOfLikes | None,
    exposures: dict[str, int] | None,
) -> None:
    """Write the report and the table of days; the same log gives the same bytes."""
    total = times.days.total
    # Where labels are of the views, likes can only be counted against them.
    n_stray = max(total.likes - total.liked, 0) if likes is None else likes.stray
    found = {
        "source": meta.source,
        "first_day": meta.origin[:10],
        "last_moment": meta.moment(meta.last_at).isoformat(),
        "days": meta.n_days,
        "users": meta.n_users,
        "posts": meta.n_posts,
        "impressions": meta.n_impressions,
        "liked": meta.n_likes,
        "like_rate": round(meta.n_likes / meta.n_impressions, 6),
        "dropped": asdict(dropped),
        "repeated_rows": n_repeats,
        "impossible_days": times.names(),
        "left_out_columns": left_out_columns,
        "source_rows": {"view": total.views, "like": total.likes},
        "like_rows_without_a_liked_view": n_stray,
    }
    found |= {} if likes is None else {"dropped_likes": likes.dropped}
    found |= {} if exposures is None else {"exposures": exposures}
    report.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    columns = ["day", "impressions", "liked", "like_rate"]
    write_csv(plot, pd.DataFrame(_rows(times.days), columns=columns))


def _rows(days: Days) -> list[list[str]]:
    return [
        [day_name(d), str(day.views), str(day.liked), f"{day.liked / day.views:.6f}"]
        for d, day in sorted(days.days.items())
        if day.views
    ]
