"""Report: one self-contained page of what validation and training found."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from feedrank.io.files import write_whole
from feedrank.report.page import Reports, page_of
from stages.run import run

REPORTS, PLOTS = Path("reports"), Path("reports/plots")
ABLATION = REPORTS / "ablation.json"


def main() -> None:
    """Write `reports/report.html`; the ablation is in it if `make ablation` was run."""
    reports = Reports(
        metrics=json.loads((REPORTS / "metrics.json").read_text()),
        details=json.loads((REPORTS / "details.json").read_text()),
        days=_table("hitrate_by_day"),
        calibration=_table("calibration"),
        slices=_table("slices"),
        curve=_table("learning_curve"),
        importance=_table("importance"),
        ablation=json.loads(ABLATION.read_text()) if ABLATION.exists() else None,
    )
    write_whole(REPORTS / "report.html", page_of(reports).encode())


def _table(name: str) -> pd.DataFrame:
    return pd.read_csv(PLOTS / f"{name}.csv", dtype={"value": str}, keep_default_na=False,
                       na_values=[""])  # fmt: skip


if __name__ == "__main__":
    run(main)
