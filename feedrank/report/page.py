"""`reports/report.html`: numbers, warnings, charts and tables in one file without any link."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from feedrank.report.charts import (
    calibration_chart,
    days_chart,
    importance_chart,
    learning_chart,
    slice_charts,
)
from feedrank.report.svg import Row, row_chart

STYLE = Path(__file__).with_name("style.css")
EMPTY = "–"  # noqa: RUF001


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
        _tiles(found),
        _verdict(found.details),
        _section("Methods", _methods(found), "All on the same requests. Lead: by how much "
                 "feedrank's expected exceeds the method's, paired, 95 %, users resampled."),
        '<div class="charts">',
        _section("Hit rate by day", days_chart(found.days),
                 "Expected, had the lists been shown, with its 95 % interval."),
        _section("Calibration", calibration_chart(found.calibration),
                 "Each dot is an equal share of the test periods' impressions."),
        *(_section(f"By {by}", chart, "Shown, with its 95 % interval; the rule is the mean.")
          for by, chart in slice_charts(found.slices, found.metrics)),
        _section("Feature importance", importance_chart(found.importance),
                 "Total gain of the trees; the first score's weights are not in it."),
        _section("Learning curve", learning_chart(found.curve),
                 "Log loss by number of trees, last fold."),
        _section("Each rank", _ranks(found.details),
                 "Like rate of the impressions that happen to stand at a rank of our lists."),
        "</div>",
        _section("Least ahead", _items(found.details["worst_slices"]),
                 "The slices where feedrank leads most liked posts by the least, by shown."),
        _section("Topics", _topics(found.details), "Impressions of the requests, by topic."),
        _ablation(found.ablation, found.metrics),
        _section("Is the feed random?", _randomness(found.details),
                 "Expected needs a feed that does not choose by taste. z beyond 4 is no chance."),
    ]  # fmt: skip
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>feedrank: validation</title><style>{STYLE.read_text()}</style></head>"
        f"<body><main><h1>Validation</h1>{body}</main></body></html>\n"
    )


def _tiles(found: Found) -> str:
    ours = found.metrics[f"hitrate@{found.k}"]
    tiles = [
        (f"hitrate@{found.k}/expected", _number(ours["expected"]), _interval(ours, "expected")),
        (f"hitrate@{found.k}/shown", _number(ours["shown"]), _interval(ours, "shown")),
        ("AUC", _number(found.metrics["auc"]), "of later impressions"),
        ("requests", f"{ours['n_requests']:,}", f"matches worth {ours['n_effective']:,}"),
    ]
    true = found.metrics.get("demo", {}).get("true")
    if true:
        tiles.insert(1, ("true", _number(true["feedrank"]), f"oracle {_number(true['oracle'])}"))
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
    return f'<div class="verdict bad">Read with care.{_items(details["warnings"])}</div>'


def _methods(found: Found) -> str:
    k = found.k
    methods = {"feedrank": found.metrics[f"hitrate@{k}"], **found.metrics[f"baselines@{k}"]}
    leads, true = found.metrics[f"lead@{k}"], found.metrics.get("demo", {}).get("true", {})
    head = ["method", "expected", "lead", "shown", "catalogue", *(["true"] if true else [])]
    rows = []
    for name, values in sorted(methods.items(), key=lambda m: -(m[1]["expected"] or 0.0)):
        lead = leads.get(name)
        words = EMPTY if lead is None else (
            f"{lead['expected']:+.3f} [{lead['low']:+.3f}, {lead['high']:+.3f}]"
        )  # fmt: skip
        numbers = [_number(values["expected"]), words, _number(values["shown"]),
                   _number(values["catalogue"], 4)]  # fmt: skip
        rows.append([name, *numbers, *([_number(true.get(name))] if true else [])])
    limits = [name for name in ("informed", "oracle") if name in true]
    rows += [[name, *[EMPTY] * 4, _number(true[name])] for name in limits]
    return _table(head, rows, "feedrank")


def _ranks(details: dict[str, Any]) -> str:
    rows = [
        Row(f"rank {r['ranks']} ({r['n']:,})", r["liked"], r["low"], r["high"])
        for r in details["precision_by_rank"]
        if r["liked"] is not None
    ]
    return row_chart(rows, "Like rate by rank") if rows else "<p>No impression matches.</p>"


def _topics(details: dict[str, Any]) -> str:
    head = ["topic", "impressions", "liked", "predicted", "AUC", "share of our lists"]
    rows = [
        [t["topic"], f"{t['impressions']:,}", _number(t["liked"]), _number(t["predicted"]),
         _number(t["auc"]), _number(t["share_of_lists"])]
        for t in details["topics"]
    ]  # fmt: skip
    return _table(head, rows)


def _ablation(ablation: dict[str, Any] | None, metrics: dict[str, Any]) -> str:
    if ablation is None:
        return ""
    title = "What each part is worth"
    full, headline = ablation["rows"][0], metrics[f"hitrate@{ablation['k']}"]
    if any(full[kind] != headline[kind] for kind in ("expected", "shown")):
        return _section(title, "", "Asked of another run than this: `make ablation` asks anew.")
    rows = [
        [row["without"], *(
            cell for kind in ("expected", "shown")
            for cell in (_number(row[kind]), f"{row[f'{kind}_change']:+.3f} "
                         f"[{row[f'{kind}_low']:+.3f}, {row[f'{kind}_high']:+.3f}]")
        )]
        for row in ablation["rows"]
    ]  # fmt: skip
    head = ["without", "expected", "change", "shown", "change"]
    words = "The ranker without a part, on the same requests; changes are paired."
    return _section(title, _table(head, rows, "full"), words)


def _randomness(details: dict[str, Any]) -> str:
    head = ["test", "fold", "size", "z", "verdict"]
    rows = [
        [r["test"], str(r["fold"]), _number(r["size"]), _number(r["z"], 1),
         r["verdict"]]
        for r in details["randomness"]
    ]  # fmt: skip
    return _table(head, rows)


def _section(title: str, content: str, words: str) -> str:
    return (
        f'<section><h2>{escape(title)}</h2>{content}<p class="soft">{escape(words)}</p></section>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], ours: str | None = None) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = (
        ('<tr class="ours">' if row[0] == ours else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{names}</tr>{"".join(lines)}</table></div>'


def _items(words: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(w)}</li>' for w in words)}</ul>"


def _number(value: float | None, digits: int = 3) -> str:
    return EMPTY if value is None else f"{value:.{digits}f}"


def _interval(values: dict[str, Any], kind: str) -> str:
    low, high = values[f"{kind}_low"], values[f"{kind}_high"]
    return EMPTY if low is None else f"95 %: {low:.3f} to {high:.3f}"
