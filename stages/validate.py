"""Validate: rolling folds, three hit rates with intervals, baselines on the same requests."""

from __future__ import annotations

from pathlib import Path

from feedrank.engines.processes import import_ahead

if __name__ == "__main__":
    # A second and a half of imports, at the same time as these.
    import_ahead("feedrank.validation.results.summary", "feedrank.oracle.true_hit_rates")

from feedrank.engines.selection import running_on
from feedrank.features.row_files import load_rows
from feedrank.io.outputs import new_outputs
from feedrank.io.tables import write_csv
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.oracle.true_hit_rates import truth_of
from feedrank.params import load_params
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.fold import barred_posts, run_folds
from feedrank.validation.methods import log_lacks
from feedrank.validation.results.details import calibration_of, curve_of, days_of
from feedrank.validation.results.metrics_json import headline_of, write_json
from feedrank.validation.results.requests_table import write_requests
from feedrank.validation.results.slices import slice_table, supported_slices, topic_table
from feedrank.validation.results.summary import Summary
from stages.run import run

LOG, FEATURES, ROWS, TRUTH = (Path("data") / d for d in ("log", "features", "rows", "truth"))
REPORTS, PLOTS = Path("reports"), Path("reports/plots")
REQUESTS, DETAILS = REPORTS / "requests.parquet", REPORTS / "details.json"
METRICS, HEADLINE = REPORTS / "metrics.json", REPORTS / "headline.json"
SLICES, DAYS = PLOTS / "slices.csv", PLOTS / "hitrate_by_day.csv"
CALIBRATION, CURVE = PLOTS / "calibration.csv", PLOTS / "learning_curve.csv"
OUTPUTS = (REQUESTS, DETAILS, METRICS, HEADLINE, SLICES, DAYS, CALIBRATION, CURVE)


def main() -> None:
    """Write the metrics, what stands behind them, each request's hits, and the plots' tables."""
    params = load_params()
    rows, store = load_rows(ROWS), FeatureStore.load(FEATURES)
    log_lacks(params.validate, store.fitted.n_segments)
    with running_on(params.engine) as engine:
        log, features = Log.open(engine.share(LOG)), engine.share(FEATURES)
        calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
        folds = calendar.folds(params.validate.folds)
        results = run_folds(log, features, rows, folds, params)
        barred = barred_posts(results, store, params.validate.state, params.export.exclude)
        truth = truth_of(TRUTH, log, results, params.validate, barred)
    slices = slice_table(results, store, params.validate)
    topics = topic_table(results, store, params.validate.k[0])
    summary = Summary.of(results, params.validate)
    metrics = summary.metrics(truth)
    with new_outputs(*OUTPUTS) as new:
        write_requests(new[REQUESTS], summary.requests(log, store.catalogue))
        write_json(new[DETAILS], summary.details(slices, topics))
        write_csv(new[SLICES], supported_slices(slices, summary.trust.void))
        write_csv(new[DAYS], days_of(results, log, params.validate, summary.trust))
        write_csv(new[CALIBRATION], calibration_of(results))
        write_csv(new[CURVE], curve_of(results))
        write_json(new[METRICS], metrics)
        write_json(new[HEADLINE], headline_of(metrics))
    print("\n".join(summary.words(slices, metrics)))


if __name__ == "__main__":
    run(main)
