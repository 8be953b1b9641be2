"""Replay of a public log by every method, through an embedded PostgreSQL, and its table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.real_logs.tables import Tables
from feedrank.demo.server import embedded_server
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.extraction.extract import Extract
from feedrank.extraction.postgres.connection import Source
from feedrank.features.row_pass import training_rows
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.params import Params
from feedrank.validation.fold import run_fold
from feedrank.validation.methods import AGED, OURS
from feedrank.validation.results.summary import Summary


def summary_of(tables: Tables, params: Params, scratch: Path) -> Summary:
    """All folds of a log, extracted from an embedded PostgreSQL, by every method.

    Args:
        tables: of the log.
        params: of the run.
        scratch: an empty folder.
    """
    one_thread_of_algebra()
    with embedded_server(scratch / "pgdata") as url:
        tables.fill(url)
        source = Source(url, params.source)
        place = scratch / "log"
        Extract(source, params.extract, place, scratch / "reports", scratch / "spool", "log").run()
    log = Log.open(place)
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
        is_other = name not in (OURS, AGED)
        less = scores.lead(OURS, name, "shown").words("+.3f") if is_other else ""
        lines.append(f"| {name} | {hits.shown.words()} | {less} |")
    n = scores.methods[OURS].shown.n_requests
    return "\n".join([*lines, f"\n{n} requests of more than {scores.k} posts, users resampled."])
