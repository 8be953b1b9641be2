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
from pathlib import Path

from benchmarks.real_logs.kuairand import kuairand
from benchmarks.real_logs.movielens import movielens
from benchmarks.real_logs.news import ebnerd, mind
from benchmarks.real_logs.tables import Tables
from feedrank.demo.server import embedded_server
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import FeedrankError
from feedrank.extraction.extract import Extract
from feedrank.extraction.postgres.connection import Source
from feedrank.features.row_pass import training_rows
from feedrank.io.progress import log_to_stderr
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.params import Params, load_params
from feedrank.stats.intervals import Estimate
from feedrank.validation.fold import run_fold
from feedrank.validation.methods import AGED, OURS
from feedrank.validation.results.summary import Summary

READERS: dict[str, Callable[[Path], Tables]] = {
    "ebnerd": ebnerd, "mind": mind, "movielens": movielens, "kuairand": kuairand,
}  # fmt: skip
# News lives for hours; `kuairand` as the demo's *video*.
STEPS = {"ebnerd": "1h", "mind": "1h", "movielens": "1d", "kuairand": "6h"}


def summary_of(tables: Tables, params: Params, scratch: Path) -> Summary:
    """All folds of a log, extracted from an embedded PostgreSQL, by every method.

    Args:
        tables: of the log.
        params: of the run.
        scratch: an empty folder.
    """
    with embedded_server(scratch / "pgdata") as url:
        tables.fill(url)
        source = Source(url, params.source)
        log = scratch / "log"
        Extract(source, params.extract, log, scratch / "reports", scratch / "spool", "log").run()
    log = Log.open(log)
    store, features = fit_store(log, params), scratch / "features"
    rows = training_rows(log, store, params)
    features.mkdir()
    store.save(features)
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    folds = calendar.folds(params.validate.folds)
    results = [run_fold(log, features, rows, fold, params) for fold in folds]
    return Summary.of(results, params.validate)


def table(summary: Summary) -> str:
    """Markdown: each method's replay hit rate, and ours less it on the same requests."""
    scores = summary.scores[0]
    lines = [f"| method | shown@{scores.k} | ours less it |", "| --- | --- | --- |"]
    ordered = sorted(scores.methods.items(), key=lambda m: -m[1].shown.value)
    for name, hits in ordered:
        less = _words(scores.lead(OURS, name, "shown"), "+") if name not in (OURS, AGED) else ""
        lines.append(f"| {name} | {_words(hits.shown)} | {less} |")
    n = scores.methods[OURS].shown.n_requests
    return "\n".join([*lines, f"\n{n} requests of more than {scores.k} posts, users resampled."])


def _words(found: Estimate, sign: str = "") -> str:
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def main() -> None:
    """Print a table; ends with an error where the log cannot be read or is too short."""
    log_to_stderr()
    try:
        _run(_arguments())
    except FeedrankError as error:
        sys.exit(f"error: {error}")


def _run(given: argparse.Namespace) -> None:
    one_thread_of_algebra()
    params, step = load_params(), given.step or STEPS[given.log]
    params = replace(
        params,
        extract=replace(params.extract, since=given.since),
        features=replace(params.features, step=step),
        validate=replace(params.validate, test_days=given.test_days, baselines="all"),
    )
    tables = READERS[given.log](given.folder).shown(given.users)
    print(f"{len(tables.users):,} users, {len(tables.posts):,} posts, {len(tables.feed):,} rows")
    if given.write is not None:
        tables.write(given.write)
        return
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
    parser.add_argument("--test-days", type=int, help="of one fold; as validate.test_days")
    return parser.parse_args()


if __name__ == "__main__":
    main()
