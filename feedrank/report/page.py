"""`reports/report.html`: numbers, warnings, charts and tables in one file without any link."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from feedrank.report.charts import (
    KINDS,
    MOST_ROWS,
    calibration_chart,
    days_chart,
    importance_chart,
    learning_chart,
    ranks_chart,
    slice_charts,
)
from feedrank.report.svg import legend
from feedrank.report.tables import (
    EMPTY,
    ablation_table,
    items,
    methods_table,
    number,
    randomness_table,
    topics_table,
)
from feedrank.validation.results.leads import leads_in_words

STYLE = Path(__file__).with_name("style.css")
_METHODS = (
    "Expected: had the list been shown, would a post on it have been liked? Shown: do the best of "
    "the posts that were shown hold a liked one? Catalogue: does the log hold a like of a post on "
    "the list? All on the same requests; leads are paired, and with 0 in the interval "
    "they are too close to tell."
)
_RANKS = (
    "Like rate of the impressions that happen to stand at a rank of our lists, and their number; "
    "the dashed line is that of all. {n_listed:,} stand in the lists themselves. Expected also "
    "learns from the near ones: {n_matching:,} in all, worth {n_effective:,.0f} in the lists."
)
_IMPORTANCE = (
    "How far a feature moves the log-odds of a like, by the first score and the trees together: "
    "the standard deviation over training rows."
)


@dataclass(frozen=True)
class Found:
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
        return next(key for key in self.metrics if key.startswith("hitrate@")).split("@")[1]


def page_of(found: Found) -> str:
    """The whole page."""
    parts = [
        _head(found),
        _tiles(found),
        _verdict(found.details),
        _leads(found),
        _section("Methods", methods_table(found.k, found.metrics), _METHODS),
        '<div class="charts">',
        _section("Hit rate by day", days_chart(found.days),
                 "Had the lists been shown; the band is our interval."),
        _section("Calibration", calibration_chart(found.calibration),
                 "Each dot is an equal share of the test periods' impressions."),
        _section("Learning curve", learning_chart(found.curve),
                 "The trees of the last fold's ranker; zero is the first score alone."),
        _section("Each rank", ranks_chart(found.details["precision_by_rank"], found.calibration),
                 _RANKS.format(**found.details["matching"]["feedrank"])),
        _section("Feature importance", importance_chart(found.importance), _IMPORTANCE),
        "</div>",
        _section("Slices", _slices(found.details), ""),
        '<div class="charts">',
        *(_section(f"By {by}", chart, "") for by, chart in slice_charts(found.slices,
                                                                       found.metrics)),
        "</div>",
        _section("Topics", topics_table(found.details),
                 "Impressions of the requests by their post's topic, and what our lists hold."),
        _ablation(found.ablation, found.metrics),
        _section("Is the feed random?", randomness_table(found.details, found.days),
                 "Expected needs a feed that does not choose by taste. The size of what each test "
                 "found, and z: beyond 4 it is no chance."),
    ]  # fmt: skip
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>feedrank: validation</title><style>{STYLE.read_text()}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(found: Found) -> str:
    day, n_requests = found.days["day"], found.metrics[f"hitrate@{found.k}"]["n_requests"]
    words = (
        f"{n_requests:,} requests from {day.min()} to {day.max()}, lists of {found.k}. "
        "All intervals are of 95 %."
    )
    if "demo" in found.metrics:
        words += " The network is simulated, so what is true is known."
    return f'<h1>feedrank: validation</h1><p class="soft">{escape(words)}</p>'


def _tiles(found: Found) -> str:
    ours, k = found.metrics[f"hitrate@{found.k}"], found.k
    matching = found.details["matching"]["feedrank"]
    tiles = [
        (f"hitrate@{k}/expected", number(ours["expected"]), _interval(ours, "expected")),
        (f"hitrate@{k}/shown", number(ours["shown"]), _interval(ours, "shown")),
        ("AUC", number(found.metrics["auc"]), "of later impressions"),
        ("matches", f"{matching['n_listed']:,}", f"of {matching['n_matching']:,} near"),
    ]  # fmt: skip
    true = found.metrics.get("demo", {}).get("true")
    if true:
        tiles.insert(1, ("true", number(true["feedrank"]), f"oracle {number(true['oracle'])}"))
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><span class="soft">{escape(name)}</span><b>{value}</b>'
        f'<span class="soft">{escape(words)}</span></div>'
        for name, value, words in tiles
    ) + "</div>"  # fmt: skip


def _verdict(details: dict[str, Any]) -> str:
    if not details["warnings"]:
        return (
            f'<div class="verdict good">{escape(details["feed"])} '
            "Nothing speaks against the estimate.</div>"
        )
    return f'<div class="verdict bad">Read with care.{items(details["warnings"])}</div>'


def _leads(found: Found) -> str:
    words = " ".join(leads_in_words(found.metrics[f"lead@{found.k}"]))
    return f"<p>{escape(words)}</p>"


def _slices(details: dict[str, Any]) -> str:
    judged, *small = (f"<p>{escape(words)}</p>" for words in details["slices"])
    worst = details["worst_slices"]
    least = f"<p>Least ahead, by the upper end of the lead:</p>{items(worst)}" if worst else ""
    return f"{judged}{least}{''.join(small)}{legend(KINDS)}" + (
        f'<p class="soft">The {MOST_ROWS} largest of each kind, on one scale; the dashed line is '
        "our shown over all, the number that of requests.</p>"
    )


def _ablation(ablation: dict[str, Any] | None, metrics: dict[str, Any]) -> str:
    if ablation is None:
        return ""
    title = "What each part is worth"
    full, headline = ablation["rows"][0], metrics[f"hitrate@{ablation['k']}"]
    if any(full[kind] != headline[kind] for kind in ("expected", "shown")):
        return _section(title, "", "Asked of another run than this: `make ablation` asks anew.")
    words = "The ranker without a part, on the same requests; changes are paired."
    return _section(title, ablation_table(ablation), words)


def _section(title: str, content: str, words: str) -> str:
    soft = f'<p class="soft">{escape(words)}</p>' if words else ""
    return f"<section><h2>{escape(title)}</h2>{content}{soft}</section>"


def _interval(values: dict[str, Any], kind: str) -> str:
    low, high = values[f"{kind}_low"], values[f"{kind}_high"]
    return EMPTY if low is None else f"{low:.3f} to {high:.3f}"
