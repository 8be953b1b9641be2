"""Report: one self-contained page of what validation and training found."""

from __future__ import annotations

import json
from pathlib import Path

from feedrank.io.outputs import new_outputs
from feedrank.io.tables import read_csv
from feedrank.report.page import Reports, page_of
from stages.run import run

REPORTS, PLOTS = Path("reports"), Path("reports/plots")
ABLATION, PAGE = REPORTS / "ablation.json", REPORTS / "report.html"


def main() -> None:
    """Write `reports/report.html`; the ablation is in it if `make ablation` was run."""
    reports = Reports(
        metrics=json.loads((REPORTS / "metrics.json").read_text()),
        details=json.loads((REPORTS / "details.json").read_text()),
        days=read_csv(PLOTS / "hitrate_by_day.csv"),
        calibration=read_csv(PLOTS / "calibration.csv"),
        slices=read_csv(PLOTS / "slices.csv"),
        curve=read_csv(PLOTS / "learning_curve.csv"),
        importance=read_csv(PLOTS / "importance.csv"),
        ablation=json.loads(ABLATION.read_text()) if ABLATION.exists() else None,
    )
    with new_outputs(PAGE) as new:
        new[PAGE].write_bytes(page_of(reports).encode())


if __name__ == "__main__":
    run(main)
