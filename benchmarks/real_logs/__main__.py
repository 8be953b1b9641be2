"""A public log beside all baselines, through a real PostgreSQL and the pipeline's own code.

    python -m benchmarks.real_logs ebnerd FOLDER
    python -m benchmarks.real_logs movielens FOLDER --since 2000-01-01 --users 5000

FOLDER is what the log's archive was unpacked to. All work lies in a temporary folder and is removed
at the end. LightGBM needs `requirements-extra.txt`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.real_logs.kuairand import kuairand
from benchmarks.real_logs.movielens import movielens
from benchmarks.real_logs.news import ebnerd, mind
from benchmarks.real_logs.tables import Tables
from feedrank.errors import FeedrankError
from feedrank.io.progress import log_to_stderr
from feedrank.params import load_params

READERS: dict[str, Callable[[Path], Tables]] = {
    "ebnerd": ebnerd, "mind": mind, "movielens": movielens, "kuairand": kuairand,
}  # fmt: skip
# News lives for hours; `kuairand` as the demo's *video*.
STEPS = {"ebnerd": "1h", "mind": "1h", "movielens": "1d", "kuairand": "6h"}


def main() -> None:
    """Print a table; ends with an error where the log cannot be read or is too short."""
    log_to_stderr()
    try:
        _run(_arguments())
    except FeedrankError as error:
        sys.exit(f"error: {error}")


def _run(given: argparse.Namespace) -> None:
    params, step = load_params(), given.step or STEPS[given.log]
    params = replace(
        params,
        extract=replace(params.extract, since=given.since),
        features=replace(params.features, step=step),
        validate=replace(params.validate, test_days=given.test_days, baselines="all"),
    )
    read = READERS[given.log]
    if given.stars is not None:
        read = partial(movielens, liked_stars=given.stars)
    tables = read(given.folder).shown(given.users)
    print(f"{len(tables.users):,} users, {len(tables.posts):,} posts, {len(tables.feed):,} rows")
    if given.write is not None:
        tables.write(given.write)
        return
    # XGBoost and all baselines, which a mere conversion need not wait for.
    from benchmarks.real_logs.replay import summary_of, table

    with tempfile.TemporaryDirectory(prefix="feedrank-real-log-") as scratch:
        print(table(summary_of(tables, params, Path(scratch))))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_logs")
    parser.add_argument("log", choices=READERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, help="write the tables as Parquet there, run nothing")
    parser.add_argument("--users", type=int, help="some of them, drawn at random; all by default")
    parser.add_argument("--since", help="first day that is read, as 2000-01-01; all by default")
    parser.add_argument("--step", help="of time, as 1h; by default one that suits the log")
    parser.add_argument("--stars", type=float, help="of movielens: that make a like; 4 by default")
    parser.add_argument("--test-days", type=int, help="of one fold; as validate.test_days")
    given = parser.parse_args()
    if given.stars is not None and given.log != "movielens":
        parser.error("--stars is of movielens alone")
    return given


if __name__ == "__main__":
    main()
