"""The charts of the report, from the tables that the stages wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from feedrank.report.lines import Line, line_chart
from feedrank.report.rows import Frame, Row, Span, row_chart
from feedrank.report.svg import legend

METHODS = ("feedrank", "most_liked", "random")  # of the chart of days
KINDS = ("shown", "expected")  # of a slice
MOST_FEATURES, MOST_ROWS = 15, 16


def days_chart(days: pd.DataFrame) -> str:
    """Expected by day for ours with its band and for baselines; folds are kept apart."""
    names = sorted(days["day"].unique())
    place = {day: i for i, day in enumerate(names)}
    lines = [
        _day_line(tone, table, place)
        for tone, method in enumerate(METHODS)
        for _, table in days[days["method"] == method].groupby("fold")
    ]
    words = [day[5:] for day in names]
    chart = line_chart(lines, "Expected hit rate by day", "", "expected hit rate", names=words)
    return legend(METHODS) + chart


def _day_line(tone: int, table: pd.DataFrame, place: dict[str, int]) -> Line:
    y, low, high = (table[name].to_numpy(float) for name in ("expected", "low", "high"))
    x = table["day"].map(place).to_numpy(float)
    return Line(x, y, tone=tone) if tone else Line(x, y, low, high)


def calibration_chart(calibration: pd.DataFrame) -> str:
    """Observed over predicted like rates, and the diagonal."""
    x, y = (calibration[name].to_numpy(float) for name in ("predicted", "liked"))
    return line_chart(
        [Line(x, y, joins=False)], "Observed like rate over predicted", "predicted like rate",
        "observed like rate", diagonal=True,
    )  # fmt: skip


def slice_charts(slices: pd.DataFrame, metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One chart for each way to cut the requests, in one frame; the rule is our `shown`."""
    mean = next(v for k, v in metrics.items() if k.startswith("hitrate@"))["shown"]
    charts = []
    for by, table in slices.dropna(subset=[*KINDS]).groupby("by", sort=False):
        largest = table.nlargest(MOST_ROWS, "requests").index
        kept = table[table.index.isin(largest)].to_dict("records")
        charts.append((str(by), [Row(str(r["value"]), _spans(r), int(r["requests"]))
                                 for r in kept]))  # fmt: skip
    frame = Frame.of([row for _, rows in charts for row in rows], mean)
    for by, rows in charts:
        if len(rows) > 1:
            yield by, row_chart(rows, f"Hit rate by {by}", mean, frame)


def _spans(row: dict[Any, Any]) -> tuple[Span, ...]:
    return tuple(Span(row[kind], row[f"{kind}_low"], row[f"{kind}_high"]) for kind in KINDS)


def ranks_chart(ranks: list[dict[str, Any]], calibration: pd.DataFrame) -> str:
    """Like rate of the impressions at each rank of our lists; the rule is that of all."""
    mean = float(np.average(calibration["liked"], weights=calibration["rows"]))
    rows = [
        Row(f"rank {r['ranks']}", (Span(r["liked"], r["low"], r["high"]),), r["n"])
        for r in ranks
        if r["liked"] is not None
    ]
    return row_chart(rows, "Like rate by rank", mean) if rows else "<p>No impression matches.</p>"


def importance_chart(importance: pd.DataFrame) -> str:
    """Bars of the features' effects, the largest first."""
    table = importance.nlargest(MOST_FEATURES, "effect")
    rows = [Row(r["feature"], (Span(r["effect"]),))
            for r in table[table["effect"] > 0].to_dict("records")]  # fmt: skip
    return row_chart(rows, "Effect of each feature") if rows else "<p>No feature has any.</p>"


def learning_chart(curve: pd.DataFrame) -> str:
    """Log loss of later rows, and of those that the ranker saw."""
    x = curve["trees"].to_numpy(float)
    lines = [
        Line(x, curve[name].to_numpy(float), tone=n) for n, name in enumerate(("later", "seen"))
    ]
    chart = line_chart(lines, "Log loss by number of trees", "trees", "log loss")
    return legend(["later rows", "rows it was fitted on"]) + chart
