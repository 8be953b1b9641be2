"""`reports/report.html`: numbers, warnings, charts and tables in one file without any link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from feedrank.report import charts, tables
from feedrank.report.drawing import svg
from feedrank.report.theme import DARK, LIGHT
from feedrank.report.verdict import rival_of, sentence
from feedrank.validation.results.leads import first_k, in_words, leaders_in_words, leads_in_words

METHODS = ("feedrank", "most_liked", "random")  # of the chart of days: more lines would cross
MOST_FEATURES, MOST_SLICES = 15, 16  # rows of a chart: what a phone shows without scrolling


@dataclass(frozen=True)
class Reports:
    """What the stages wrote.

    Attributes:
        metrics: of `reports/metrics.json`.
        details: of `reports/details.json`.
        days: hit rates by day and method.
        calibration: of later rows.
        slices: hit rates by slice.
        curve: log loss by number of trees.
        importance: of features.
        ablation: of `reports/ablation.json`; None if it was not run.
    """

    metrics: dict[str, Any]
    details: dict[str, Any]
    days: pd.DataFrame
    calibration: pd.DataFrame
    slices: pd.DataFrame
    curve: pd.DataFrame
    importance: pd.DataFrame
    ablation: dict[str, Any] | None

    @property
    def k(self) -> str:
        """Length of the headline's lists."""
        return first_k(self.metrics)


def page_of(reports: Reports) -> str:
    """The whole page."""
    k, metrics, details = reports.k, reports.metrics, reports.details
    leads = metrics[f"lead@{k}"]
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters |= {
        "number": tables.number,
        "count": "{:,.0f}".format,
        "ends": tables.ends,
        "signed": tables.signed,
        "in_words": in_words,
    }
    return templates.get_template("page.html").render(
        k=k, ours=metrics[f"hitrate@{k}"], auc=metrics["auc"], details=details,
        truth=metrics.get("demo", {}).get("true"), matching=details["matching"]["feedrank"],
        verdict=sentence(k, metrics), rival=rival_of(k, metrics), lead=leads,
        first_day=reports.days["day"].min(), last_day=reports.days["day"].max(),
        headline=metrics["headline"],
        is_fresh="feedrank_aged" in metrics[f"baselines@{k}"],
        leaders=leaders_in_words(leads, metrics["headline"]),
        leads=leads_in_words(leads, metrics["headline"]), most_slices=MOST_SLICES,
        charts=_charts(reports), slices=dict(_slices(reports)), kinds=_drawn(reports),
        methods=tables.methods_table(k, metrics), topics=tables.topics_table(details),
        ranking=tables.ranking_table(details, k), session_auc=details["ranking"]["feedrank"],
        randomness=tables.randomness_table(details, reports.days),
        ablation=reports.ablation
        and tables.ablation_table(reports.ablation, tables.kinds_of(metrics)),
        is_ablation_of_this_run=reports.ablation and _is_of_this_run(reports),
        light=LIGHT, dark=DARK,
    )  # fmt: skip


def _charts(reports: Reports) -> dict[str, str]:
    """SVG by name; nothing where there is nothing to draw."""
    days, calibration, importance = reports.days, reports.calibration, reports.importance
    ranks = pd.DataFrame(reports.details["precision_by_rank"]).dropna(subset=["liked"])
    ranks["ranks"] = "rank " + ranks["ranks"]
    mean = float(np.average(calibration["liked"], weights=calibration["rows"]))
    largest = importance[importance["effect"] > 0].nlargest(MOST_FEATURES, "effect")
    return {
        "days": svg(
            charts.hit_rate_by_day(),
            days[days["method"].isin(METHODS)].replace(
                {"method": {name: in_words(name) for name in METHODS}}
            ),
        ),
        "calibration": svg(charts.calibration(), calibration),
        "curve": svg(charts.learning_curve(), reports.curve),
        "ranks": svg(charts.ranks(mean), ranks) if len(ranks) else "",
        "importance": svg(charts.importance(), largest) if len(largest) else "",
    }


def _drawn(reports: Reports) -> list[str]:
    """Hit rates of the charts of slices, as the legend names them: those that judge any slice."""
    kinds = sorted(tables.kinds_of(reports.metrics), reverse=True)
    return [kind for kind in kinds if reports.slices[kind].notna().any()]


def _slices(reports: Reports) -> Iterator[tuple[str, str]]:
    """A chart for each way to cut the requests, on one axis."""
    kinds = _drawn(reports)
    judged = reports.slices.dropna(subset=kinds, how="all")
    ends = judged[[f"{kind}{end}" for kind in kinds for end in ("_low", "_high")]].to_numpy(float)
    domain = [float(np.nanmin(ends, initial=1.0)), float(np.nanmax(ends, initial=0.0))]
    mean = reports.metrics[f"hitrate@{reports.k}"]["shown"]
    for by, table in judged.groupby("by", sort=False):
        largest = table.loc[table["requests"].nlargest(MOST_SLICES).index.sort_values()]
        if len(largest) > 1:
            yield str(by), svg(charts.slices(domain, mean, kinds), largest)


def _is_of_this_run(reports: Reports) -> bool:
    """Whether the ablation's full ranker has the hit rates of this page."""
    ablation: dict[str, Any] = reports.ablation or {}
    full, ours = ablation["rows"][0], reports.metrics.get(f"hitrate@{ablation['k']}")
    return ours is not None and all(full[kind] == ours[kind] for kind in ("expected", "shown"))
