"""Read exposures and likes, and say which group was better off: `python -m service.ab_report`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from feedrank.errors import FeedrankError, SchemaError, SourceError
from feedrank.params import SourceParams, load_params
from feedrank.stats.ab_test import AbOutcomes, ArmRate, Comparison, compare

COLUMNS = ["user_id", "post_id", "timestamp"]


@dataclass(frozen=True)
class Exposure:
    """One list that was returned."""

    user_id: int
    at: datetime
    is_test: bool
    test_share: float
    posts: tuple[int, ...]


def read_exposures(directory: Path) -> Iterator[Exposure]:
    """Every list noted in a directory; the last line of a file may be cut short."""
    files = sorted(directory.glob("exposures-*.jsonl"))
    if not files:
        raise SchemaError(
            f"'{directory}' holds no exposures. Start the service with FEEDRANK_EXPOSURES set to "
            "this directory."
        )
    for file in files:
        for number, line in enumerate(file.read_text().split("\n"), start=1):
            if line:
                yield _exposure(file, number, line)


def _exposure(file: Path, number: int, line: str) -> Exposure:
    try:
        noted = json.loads(line)
    except json.JSONDecodeError as error:
        raise SchemaError(f"line {number} of '{file}' is not JSON: {error}. Remove it.") from error
    is_test = noted["exp_group"] == "test"
    share = noted["propensity"] if is_test else 1 - noted["propensity"]
    at = datetime.fromisoformat(noted["at"])
    return Exposure(noted["user_id"], at, is_test, round(share, 6), tuple(noted["posts"]))


def judged(exposures: list[Exposure], likes: pd.DataFrame, window: timedelta) -> AbOutcomes:
    """Lists, and whether their user liked one of their posts within the window after them.

    Args:
        exposures: lists.
        likes: `user_id`, `post_id`, `timestamp`.
        window: in which a like counts, from the moment of the request.
    """
    keys = zip(likes["user_id"].tolist(), likes["post_id"].tolist(), strict=True)
    times: dict[tuple[int, int], list[datetime]] = {}
    for key, at in zip(keys, likes["timestamp"].dt.to_pydatetime(), strict=True):
        times.setdefault(key, []).append(at)

    def is_hit(e: Exposure) -> bool:
        liked = (at for post in e.posts for at in times.get((e.user_id, post), ()))
        return any(e.at <= at < e.at + window for at in liked)

    return AbOutcomes(
        np.array([e.user_id for e in exposures]),
        np.array([e.is_test for e in exposures]),
        np.array([is_hit(e) for e in exposures]),
    )


def read_likes(path: Path) -> pd.DataFrame:
    """Likes from a CSV or parquet file; raises `SchemaError` if a column is missing."""
    likes = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    missing = [c for c in COLUMNS if c not in likes.columns]
    if missing:
        raise SchemaError(f"'{path}' lacks {missing}; it needs the columns {COLUMNS}.")
    return likes.assign(timestamp=pd.to_datetime(likes["timestamp"]))


def query_likes(dsn: str, source: SourceParams, since: datetime, until: datetime) -> pd.DataFrame:
    """Likes of a period from the database; raises `SourceError` without the DSN's password."""
    names = (source.user_id, source.post_id, source.timestamp, source.schema, source.feed)
    user, post, at, schema, feed = (f'"{n}"' for n in names)
    query = text(
        f"SELECT {user} AS user_id, {post} AS post_id, {at} AS timestamp FROM {schema}.{feed} "
        f"WHERE \"{source.action}\" = 'like' AND {at} >= :since AND {at} < :until"
    )
    try:
        with create_engine(dsn).connect() as connection:
            found = connection.execute(query, {"since": since, "until": until}).all()
    except SQLAlchemyError as error:
        raise SourceError(
            f"likes cannot be read ({type(error).__name__}). Check FEED_DSN, or name a file with "
            "--likes."
        ) from None
    likes = pd.DataFrame([tuple(row) for row in found], columns=COLUMNS)
    return likes.assign(timestamp=pd.to_datetime(likes["timestamp"]))


def told(found: Comparison, hours: float) -> str:
    """A comparison in words."""
    low, high = found.interval
    lines = [
        f"hit rate: a like of a listed post within {hours:g} h of the request",
        f"{'group':8} {'users':>9} {'requests':>9} {'hit rate':>9}   95 % interval",
        _row("control", found.control),
        _row("test", found.test),
        f"test - control: {found.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}",
    ]
    if found.n_switched:
        lines.append(f"{found.n_switched} users were in both groups and are left out")
    if found.is_even:
        lines.append(f"the split is as planned (p = {found.uneven_p:.3g})")
        lines.append(_verdict(low, high))
    else:
        lines.append(
            f"THE SPLIT IS NOT AS PLANNED (p = {found.uneven_p:.2g}): some users are missing from "
            "one group, so the difference cannot be trusted. Find out why before reading it."
        )
    return "\n".join(lines)


def _row(name: str, rate: ArmRate) -> str:
    low, high = rate.interval
    interval = f"{low:.4f} to {high:.4f}"
    return f"{name:8} {rate.n_users:9,} {rate.n_requests:9,} {rate.rate:9.4f}   {interval}"


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "test is better"
    return "control is better" if high < 0 else "no difference can be told yet"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, 1 for an error, 2 for a split that is not as planned."""
    parser = argparse.ArgumentParser(prog="python -m service.ab_report", description=__doc__)
    parser.add_argument("exposures", type=Path, help="directory of FEEDRANK_EXPOSURES")
    parser.add_argument("--likes", type=Path, help="CSV or parquet; else the database of FEED_DSN")
    parser.add_argument("--hours", type=float, default=24, help="in which a like counts")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    given = parser.parse_args(arguments)
    try:
        found = _found(given.exposures, given.likes, given.hours)
    except FeedrankError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(asdict(found)) if given.json else told(found, given.hours))
    return 0 if found.is_even else 2


def _found(directory: Path, path: Path | None, hours: float) -> Comparison:
    exposures = list(read_exposures(directory))
    shares = sorted({e.test_share for e in exposures})
    if len(shares) != 1:
        raise SchemaError(
            f"'{directory}' holds lists of several planned shares {shares}. Keep each comparison's "
            "exposures in a directory of its own."
        )
    window = timedelta(hours=hours)
    if path is not None:
        likes = read_likes(path)
    else:
        dsn = os.environ.get("FEED_DSN")
        if not dsn:
            raise SourceError("no likes: set FEED_DSN, or name a file with --likes.")
        since, until = min(e.at for e in exposures), max(e.at for e in exposures) + window
        likes = query_likes(dsn, load_params().source, since, until)
    return compare(judged(exposures, likes, window), shares[0])


if __name__ == "__main__":
    raise SystemExit(main())
