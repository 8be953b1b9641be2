"""Charts, in Altair (Vega-Lite): each is defined once, for the page and for `dvc plots`.

A chart names the columns of its table. Table, colours and width are added by `drawing.py` for the
page and by `templates.py` for DVC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

TABLE = alt.NamedData("table")
OURS = "feedrank"
DOTS = alt.OverlayMarkDef(size=24)  # square pixels: 5.5 across
HEIGHT = 190  # of a chart of lines, which is 310 wide: any from 150 to 250 reads well
ROW = 19  # pixels of a named row; two intervals and a line of text fit
NAME_WIDTH = 100  # pixels of a row's name beside a count, so that charts of slices stand in line
COUNT_WIDTH = 54  # pixels between a row's name and its dots: room for "2,632,000"
APART = 6  # pixels between the intervals of one row


def hit_rate_by_day() -> alt.LayerChart:
    """The headline's hit rate of each method by day, with our 95 % band; folds are not joined."""
    base = alt.Chart(TABLE).encode(x=_days(), color=_colour("method"), detail="fold:N")
    band = base.transform_filter(alt.datum.method == OURS).mark_area(opacity=0.16)
    rates = base.mark_line(point=DOTS)
    layers = [
        band.encode(y=_y("low", "hit rate"), y2="high"),
        rates.encode(y=_y("rate", "hit rate")),
    ]
    return alt.LayerChart(layer=layers, height=HEIGHT)


def like_rate_by_day() -> alt.Chart:
    """Like rate of the log's impressions by day."""
    line = alt.Chart(TABLE).mark_line(point=DOTS)
    return line.encode(x=_days(), y=_y("like_rate", "like rate")).properties(height=HEIGHT)


def calibration() -> alt.LayerChart:
    """Observed over predicted like rates; on the dashed diagonal both are equal."""
    base = alt.Chart(TABLE).encode(x=_x("predicted", "predicted like rate"))
    layers = [
        base.mark_line(style="reference").encode(y=_y("predicted", "")),
        base.mark_circle(size=36, opacity=1).encode(y=_y("liked", "observed like rate")),
    ]
    return alt.LayerChart(layer=layers, height=HEIGHT)


def learning_curve() -> alt.Chart:
    """Log loss by number of trees, of training rows and of test rows."""
    of = {"test": "test rows", "training": "training rows"}
    folded = alt.Chart(TABLE).transform_fold([*of], as_=["rows", "log_loss"])
    lines = folded.transform_calculate(rows=f"{of}[datum.rows]").mark_line(point=DOTS)
    x = _x("trees", "trees").axis(title="trees", tickMinStep=1, format="d", grid=False)
    return lines.encode(x=x, y=_y("log_loss", "log loss"), color=_colour("rows")).properties(
        height=HEIGHT
    )


def importance() -> alt.Chart:
    """Effect of each feature that has one, the largest first."""
    bars = alt.Chart(TABLE).transform_filter(alt.datum.effect > 0).mark_bar(size=10)
    largest = alt.EncodingSortField("effect", op="max", order="descending")
    return bars.encode(
        x=_x("effect", "effect on the log-odds of a like", zero=True),
        y=_names("feature", largest),
    ).properties(height=alt.Step(ROW))


def slices(
    domain: list[float] | None = None,
    mean: float | None = None,
    kinds: Sequence[str] = ("shown", "expected"),
) -> alt.LayerChart:
    """Hit rates of slices of the requests, with 95 % intervals.

    Args:
        domain: both ends of the axis, for charts side by side.
        mean: where a dashed line stands.
        kinds: of hit rate.
    """
    rates = [(kind, f"{kind}_low", f"{kind}_high") for kind in kinds]
    return _intervals("value", "requests", rates, "hit rate", mean, domain)


def ranks(mean: float) -> alt.LayerChart:
    """Like rate of the impressions at each rank of our lists, with 95 % intervals.

    Args:
        mean: like rate of all impressions, a dashed line.
    """
    return _intervals("ranks", "n", [("liked", "low", "high")], "like rate", mean)


def _intervals(
    name: str,
    count: str,
    rates: list[tuple[str, str, str]],
    title: str,
    mean: float | None,
    domain: list[float] | None = None,
) -> alt.LayerChart:
    """Named rows with a count: for each (rate, low, high) a dot on a line."""
    y = _names(name, labelPadding=COUNT_WIDTH, labelLimit=NAME_WIDTH,
               minExtent=NAME_WIDTH + COUNT_WIDTH)  # fmt: skip
    is_judged = " || ".join(f"isValid(datum.{rate})" for rate, _, _ in rates)
    rows = alt.Chart(TABLE).transform_filter(is_judged).encode(y=y)
    counts = alt.Text(f"{count}:Q", format=",")
    layers = [rows.mark_text(align="right").encode(x=alt.value(-6), text=counts)]
    for number, (rate, low, high) in enumerate(rates):
        y_offset = APART * (number - (len(rates) - 1) / 2)
        one = rows.encode(color=alt.datum(rate)) if len(rates) > 1 else rows
        from_low, at_rate = (_x(field, title, nice=False, domain=domain or alt.Undefined)
                             for field in (low, rate))  # fmt: skip
        layers += [
            one.mark_rule(strokeWidth=2, yOffset=y_offset).encode(x=from_low, x2=high),
            one.mark_circle(size=28, opacity=1, yOffset=y_offset).encode(x=at_rate),
        ]
    if mean is not None:
        once = alt.Chart(TABLE).transform_aggregate(n="count()").mark_rule(style="reference")
        layers.append(once.encode(x=alt.datum(mean)))
    return alt.LayerChart(layer=layers, height=alt.Step(ROW))


def _x(field: str, title: str, **scale: Any) -> alt.X:
    axis = alt.Axis(title=title, tickCount=4)
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(**{"zero": False, **scale}))


def _y(field: str, title: str) -> alt.Y:
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False))


def _days() -> alt.X:
    """Days without a clock: in UTC, so that the machine's zone moves none of them."""
    ticks = {"interval": "day", "step": 1}
    axis = alt.Axis(format="%b %-d", tickCount=ticks, labelOverlap=True, grid=False, ticks=False)
    return alt.X("day:T", title=None, axis=axis).scale(type="utc")


def _names(field: str, sort: alt.EncodingSortField | None = None, **axis: Any) -> alt.Y:
    plain = alt.Axis(grid=False, ticks=False, domain=False, **axis)
    return alt.Y(f"{field}:N", sort=sort, title=None, axis=plain)


def _colour(field: str) -> alt.Color:
    """The accent first: in the order of the table."""
    return alt.Color(f"{field}:N", sort=None, title=None)
