"""Picture of loops: what their weeks came to, as one SVG.

python -m benchmarks.loop.picture data/loop/*.json --out docs/images/loop.svg
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from feedrank.report.theme import LIGHT, config

WIDTH, HEIGHT = 330, 190  # of one chart, in pixels: two stand side by side on a laptop
LINES = ("ours", "on a random feed", "first", "oracle")


def weeks_of(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """All weeks of all loops, with the share of places that explore."""
    rows = []
    for result in results:
        given = result["arguments"]
        of_loop = {"exploration": f"{given['explore']:.0%}", "seed": given["seed"]}
        rows += [row | of_loop for row in result["weeks"]]
    return pd.DataFrame(rows)


def picture(weeks: pd.DataFrame) -> alt.VConcatChart:
    """True hit rates, what `expected` said of the week before, reach and regret, by week."""
    seeds = weeks.groupby(["exploration", "week"], as_index=False).mean(numeric_only=True)
    long = seeds.melt(["exploration", "week"], [*LINES], "lists", "rate")
    base = alt.Chart(long).mark_line(point=True)
    hits = base.encode(
        x=_week(), y=_y("rate", "true hit rate@5"), color=alt.Color("lists:N").title(None),
        strokeDash=alt.StrokeDash("exploration:N"),
    )  # fmt: skip
    judged = weeks[weeks["seed"] == weeks["seed"].iloc[0]]
    span = alt.Chart(judged).encode(x=_week(), xOffset="exploration:N", color=_exploration())
    said = alt.layer(
        span.mark_rule(strokeWidth=2).encode(y=_y("low", "expected; dots: the truth"), y2="high"),
        span.mark_point(filled=True, size=36).encode(y="truth of expected:Q"),
    )
    lines = alt.Chart(seeds).mark_line(point=True).encode(x=_week(), color=_exploration())
    reach = lines.encode(y=_y("never shown", "posts that we never showed", zero=True))
    seeds["regret"] = seeds["oracle"] - seeds["explored"]
    lines = alt.Chart(seeds).mark_line(point=True).encode(x=_week(), color=_exploration())
    regret = lines.encode(y=_y("regret", "regret, exploration included"))
    charts = [c.properties(width=WIDTH, height=HEIGHT) for c in (hits, said, reach, regret)]
    pairs = (charts[:2], charts[2:])
    rows = [alt.hconcat(*pair).resolve_scale(color="independent") for pair in pairs]
    return alt.vconcat(*rows).resolve_scale(color="independent")


def _week() -> alt.X:
    return alt.X("week:O").axis(title="week of the loop", labelAngle=0, grid=False)


def _y(column: str, title: str, zero: bool = False) -> alt.Y:
    return alt.Y(f"{column}:Q").axis(title=title).scale(zero=zero)


def _exploration() -> alt.Color:
    return alt.Color("exploration:N").title("places that explore")


def main() -> None:
    """Draw the loops of some files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop.picture")
    parser.add_argument("loops", type=Path, nargs="+", help="files that a loop wrote")
    parser.add_argument("--out", type=Path, default=Path("data/loop/loop.svg"))
    given = parser.parse_args()
    draw([json.loads(path.read_text()) for path in given.loops], given.out)


def draw(results: Sequence[dict[str, Any]], out: Path) -> None:
    """Write the picture of some loops."""
    alt.data_transformers.disable_max_rows()
    spec = picture(weeks_of(results)).to_dict() | {"config": config(LIGHT)}
    spec["config"]["background"] = LIGHT["card"]
    out.write_text(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
    print(f"drew {out}")


if __name__ == "__main__":
    main()
