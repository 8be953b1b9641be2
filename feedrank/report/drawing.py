"""Static SVG of a chart, drawn without a browser or a network; the same bytes on every machine."""

from __future__ import annotations

import json

import altair as alt
import pandas as pd
import vl_convert

from feedrank.report.theme import VARIABLES, config

WIDTH = 360  # of a phone's screen; wider columns enlarge the whole chart


def svg(chart: alt.Chart | alt.LayerChart, table: pd.DataFrame) -> str:
    """A chart of a table, in colours that are CSS variables of the page.

    Args:
        chart: of `charts.py`.
        table: with the columns that the chart names; NaN is left out.
    """
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    spec = chart.properties(width=WIDTH, autosize=fit).to_dict()
    values = json.loads(table.to_json(orient="records", double_precision=15))
    spec |= {"data": {"values": values}, "config": config(VARIABLES) | {"aria": False}}
    return vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
