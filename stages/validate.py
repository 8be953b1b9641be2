"""Validate: rolling folds, three hit rates with intervals, baselines on the same requests."""

from __future__ import annotations

from pathlib import Path

from feedrank.demo.report import truth_of
from feedrank.folds import Calendar
from feedrank.log import Log
from feedrank.params import load_params
from feedrank.rows import TrainingRows
from feedrank.validation.folding import run_fold
from feedrank.validation.report import calibration_of, days_of, metrics_of, write_metrics
from stages.run import run

LOG, FEATURES, ROWS, TRUTH = (Path("data") / d for d in ("log", "features", "rows", "truth"))
METRICS, PLOTS = Path("reports/metrics.json"), Path("reports/plots")


def main() -> None:
    """Write `reports/metrics.json` and the plots of the folds."""
    params = load_params()
    log, rows = Log.open(LOG), TrainingRows.load(ROWS)
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    results = [
        run_fold(log, FEATURES, rows, fold, params.validate, params.train, params.export)
        for fold in calendar.folds(params.validate.folds)
    ]
    truth = truth_of(TRUTH, log, results, params.validate)
    PLOTS.mkdir(parents=True, exist_ok=True)
    days_of(results, log, params.validate).to_csv(PLOTS / "hitrate_by_day.csv", index=False)
    calibration_of(results).to_csv(PLOTS / "calibration.csv", index=False)
    write_metrics(METRICS, metrics_of(results, params.validate, truth))


if __name__ == "__main__":
    run(main)
