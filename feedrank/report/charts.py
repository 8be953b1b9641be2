"""The charts of the report, from the tables that the stages wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from feedrank.report.svg import Line, Row, legend, line_chart, row_chart

OURS = "feedrank"
BESIDE = ("most_liked", "random")
MOST_FEATURES, MOST_ROWS = 15, 16


def days_chart(days: pd.DataFrame) -> str:
    """Expected by day for ours with its band and for baselines; folds are kept apart."""
    names = sorted(days["day"].unique())
    place = {day: i for i, day in enumerate(names)}
    lines = [
        _day_line(method, table, place)
        for method in (*BESIDE, OURS)
        for _, table in days[days["method"] == method].groupby("fold")
    ]
    once = list({line.name: line for line in lines}.values())
    words = [day[5:] for day in names]
    return line_chart(lines, "Expected hit rate by day", names=words) + legend(once)


def _day_line(method: str, table: pd.DataFrame, place: dict[str, int]) -> Line:
    y, low, high = (table[name].to_numpy(float) for name in ("expected", "low", "high"))
    x, is_main = table["day"].map(place).to_numpy(float), method == OURS
    if is_main:
        return Line(method, x, y, low, high)
    return Line(method, x, y, tone=1 + BESIDE.index(method))


def calibration_chart(calibration: pd.DataFrame) -> str:
    """Observed over predicted like rates, and the diagonal."""
    dots = Line("rows", calibration["predicted"].to_numpy(float),
                calibration["liked"].to_numpy(float), joins=False)  # fmt: skip
    return line_chart([dots], "Liked over predicted", diagonal=True, x_words="predicted; up: liked")


def slice_charts(slices: pd.DataFrame, metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One chart for each way to cut the requests: `shown` with its interval."""
    mean = next(v for k, v in metrics.items() if k.startswith("hitrate@"))["shown"]
    for by, table in slices.dropna(subset=["shown"]).groupby("by", sort=False):
        largest = table.nlargest(MOST_ROWS, "requests").index
        rows = [
            Row(f"{r['value']} ({r['requests']:,})", r["shown"], r["shown_low"], r["shown_high"])
            for r in table[table.index.isin(largest)].to_dict("records")
        ]
        if len(rows) > 1:
            yield str(by), row_chart(rows, f"Hit rate by {by}", mean)


def importance_chart(importance: pd.DataFrame) -> str:
    """Bars of total gain, the largest first."""
    table = importance.nlargest(MOST_FEATURES, "total_gain")
    table = table[table["total_gain"] > 0]
    rows = [Row(r["feature"], r["total_gain"]) for r in table.to_dict("records")]
    return row_chart(rows, "Total gain by feature") if rows else "<p>No tree has grown.</p>"


def learning_chart(curve: pd.DataFrame) -> str:
    """Log loss of rows that the ranker saw, and of later ones."""
    x = curve["trees"].to_numpy(float)
    lines = [
        Line("seen", x, curve["seen"].to_numpy(float), tone=1),
        Line("later", x, curve["later"].to_numpy(float)),
    ]
    return line_chart(lines, "Log loss by number of trees", x_words="trees") + legend(lines)
