"""Report of an A/B test from exposures and likes: `python -m service.ab_report`."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feedrank.errors import SchemaError, command
from feedrank.extraction.environment import own_dsn
from feedrank.extraction.postgres.connection import Source
from feedrank.log.exposures import Exposure, read_exposures
from feedrank.params import load_params
from feedrank.stats.ab_test import LEAST_OUTCOMES, AbOutcomes, ArmRate, Comparison, compare
from feedrank.stats.decisions import decision
from feedrank.stats.intervals import LEAST_USERS
from service.ab.likes import query_likes, read_likes

MOST_HOURS = 8_784  # a year: of a like that comes later, no list is the reason


def outcomes_of(exposures: list[Exposure], likes: pd.DataFrame, window: timedelta) -> AbOutcomes:
    """Outcome of each list: its user liked one of its posts within the window.

    Args:
        exposures: lists.
        likes: `user_id` and `post_id` as text, `timestamp` on the log's clock.
        window: in which a like counts, from the moment of the request.
    """
    lists = pd.DataFrame(
        {"user_id": str(e.user_id), "post_id": e.posts, "at": e.at} for e in exposures
    )
    listed = lists.explode("post_id").reset_index(names="row").dropna(subset="post_id")
    liked = listed.astype({"post_id": str}).merge(likes, on=["user_id", "post_id"])
    delay = liked["timestamp"] - liked["at"]
    hits = liked.loc[(delay >= timedelta(0)) & (delay < window), "row"]
    return AbOutcomes(
        lists["user_id"].to_numpy(),
        np.array([e.exp_group == "test" for e in exposures]),
        lists.index.isin(hits),
        np.array([e.explore for e in exposures]),
    )


def in_words(found: Comparison, hours: float) -> str:
    """A comparison as text for people."""
    if found.empty_arms:
        return _without(found)
    if not found.n_hits:
        n_lists = found.control.n_requests + found.test.n_requests
        return (
            f"no comparison: none of {n_lists:,} lists was "
            f"followed by a like of one of its posts within {hours:g} h. See whether exposures and "
            "likes are of the same users and clock, or wait for more."
        )
    low, high = found.interval
    lines = [
        f"hit rate: a like of a listed post within {hours:g} h of the request",
        f"{'arm':8} {'users':>9} {'requests':>9} {'hit rate':>9}   95 % interval",
        _row("control", found.control),
        _row("test", found.test),
        f"test - control: {found.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}",
    ]
    if found.control.explore or found.test.explore:
        lines.append(
            f"places that explore: {found.control.explore:.1%} of control, "
            f"{found.test.explore:.1%} of test; what they cost is in the hit rates"
        )
    if found.n_switched:
        lines.append(f"{found.n_switched} users were in both arms and are left out")
    if found.is_as_planned:
        lines.append(f"assignment as planned (p = {found.mismatch_p:.3g})")
        lines.append(_verdict(found))
    else:
        lines.append(
            f"SAMPLE RATIO MISMATCH (p = {found.mismatch_p:.2g}): some users are missing from one "
            "arm, so the difference is not valid. Find the cause first."
        )
    return "\n".join(lines)


_VERDICTS = {"ahead": "test is better", "behind": "control is better"}


def _verdict(found: Comparison) -> str:
    if not found.is_decisive:
        return (
            f"undecided, too little to judge by: a verdict takes {LEAST_USERS} users in each arm, "
            f"and {LEAST_OUTCOMES} lists with a like and {LEAST_OUTCOMES} without in both together"
        )
    words = decision(found.difference, *found.interval)
    return _VERDICTS.get(words, words)


def _without(found: Comparison) -> str:
    return (
        f"no comparison: arm {' and arm '.join(found.empty_arms)} has fewer than two users "
        f"({found.control.n_users:,} users in control, {found.test.n_users:,} in test, "
        f"{found.n_switched:,} in both). Set FEEDRANK_TEST_ARTIFACT, and a FEEDRANK_TEST_SHARE "
        "between 0 and 1, and collect exposures again."
    )


def _row(name: str, rate: ArmRate) -> str:
    low, high = rate.interval
    interval = f"{low:.4f} to {high:.4f}"
    return f"{name:8} {rate.n_users:9,} {rate.n_requests:9,} {rate.rate:9.4f}   {interval}"


def _plain(value: Any) -> Any:
    """The same with null for numbers that are none, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _hours(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MOST_HOURS:
        raise argparse.ArgumentTypeError(f"must be a number up to {MOST_HOURS:,}, not '{text}'")
    return value


@command()
def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, 1 for an error, 2 for what cannot be compared."""
    parser = argparse.ArgumentParser(prog="python -m service.ab_report", description=__doc__)
    parser.add_argument("exposures", type=Path, help="directory of FEEDRANK_EXPOSURES")
    parser.add_argument("--likes", type=Path, help="CSV or parquet; else the database of FEED_DSN")
    parser.add_argument("--hours", type=_hours, default=24, help="in which a like counts")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    given = parser.parse_args(arguments)
    found = _compared(given.exposures, given.likes, timedelta(hours=given.hours))
    print(json.dumps(_plain(asdict(found))) if given.json else in_words(found, given.hours))
    return 0 if found.is_as_planned and not found.empty_arms and found.n_hits else 2


def _compared(directory: Path, path: Path | None, window: timedelta) -> Comparison:
    exposures = list(read_exposures(directory))
    if not exposures:
        raise SchemaError(
            f"'{directory}' holds no exposures. Start the service with FEEDRANK_EXPOSURES set to "
            "this directory."
        )
    shares = sorted({e.test_share for e in exposures})
    if len(shares) != 1:
        raise SchemaError(
            f"'{directory}' holds lists of several planned shares {shares}. Keep each A/B test's "
            "exposures in a directory of its own."
        )
    likes = (
        read_likes(path, load_params().source.time_zone)
        if path
        else _likes_of_the_database(exposures, window)
    )
    return compare(outcomes_of(exposures, likes, window), shares[0])


def _likes_of_the_database(exposures: list[Exposure], window: timedelta) -> pd.DataFrame:
    dsn = own_dsn("there is no database of the likes", "or name a file with --likes")
    moments = [e.at for e in exposures]
    return query_likes(Source(dsn, load_params().source), min(moments), max(moments) + window)


if __name__ == "__main__":
    raise SystemExit(main())
