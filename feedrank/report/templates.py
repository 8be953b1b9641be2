"""Templates of `dvc plots`, exported from the charts: `python -m feedrank.report.templates`.

A template shows a chart once for each revision, side by side.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt

from feedrank.io.files import write_whole
from feedrank.report import charts
from feedrank.report.theme import LIGHT, config

FOLDER = Path(".dvc/plots")
WIDTH = 420  # pixels of a chart: two revisions fit side by side on a laptop
# DVC draws with Vega-Lite 5.2; what the charts use is in it.
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


class Plot(NamedTuple):
    """A chart of a CSV file.

    Attributes:
        chart: of `charts.py`.
        numbers: columns that DVC reads as text.
        rows: column that splits the chart into rows of charts, or None.
    """

    chart: alt.Chart | alt.LayerChart
    numbers: tuple[str, ...]
    rows: str | None = None


RATES = ("shown", "shown_low", "shown_high", "expected", "expected_low", "expected_high")
PLOTS = {
    "hit_rate_by_day": Plot(charts.hit_rate_by_day(), ("rate", "low", "high")),
    "slices": Plot(charts.slices(), ("requests", *RATES), rows="by"),
    "calibration": Plot(charts.calibration(), ("predicted", "liked")),
    "learning_curve": Plot(charts.learning_curve(), ("trees", "test", "training")),
    "importance": Plot(charts.importance(), ("effect",)),
    "like_rate_by_day": Plot(charts.like_rate_by_day(), ("like_rate",)),
}


def template(plot: Plot) -> dict[str, Any]:
    """The chart in colours of its own, with DVC's anchors in place of title and table."""
    chart = plot.chart.properties(width=WIDTH)
    revision = alt.Column("rev:N", title=None, sort=None)
    if plot.rows:
        above = alt.Header(labelOrient="top", labelAnchor="start")
        rows = alt.Row(f"{plot.rows}:N", title=None, sort=None, header=above)
        faceted = chart.facet(row=rows, column=revision).resolve_scale(y="independent")
        faceted = faceted.properties(align="each")
    else:
        faceted = chart.facet(column=revision)
    parse = {"parse": dict.fromkeys(plot.numbers, "number")}
    look = config(LIGHT)
    return faceted.to_dict() | {
        "$schema": SCHEMA,
        "title": "<DVC_METRIC_TITLE>",
        "data": {"values": "<DVC_METRIC_DATA>", "format": parse},
        "config": look | {"mark": look["mark"] | {"tooltip": {"content": "data"}}},
    }


def exported() -> dict[str, bytes]:
    """Name and content of each template's file."""
    return {f"{name}.json": f"{json.dumps(template(plot))}\n".encode()
            for name, plot in PLOTS.items()}  # fmt: skip


def main() -> None:
    """Write the templates."""
    for name, content in exported().items():
        write_whole(FOLDER / name, content)


if __name__ == "__main__":
    main()
