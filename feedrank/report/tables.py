"""The tables of the page, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from feedrank.validation.results.leads import supported

EMPTY, CHANGE, MINUS = "\N{EN DASH}", "\N{GREEK CAPITAL LETTER DELTA}", "\N{MINUS SIGN}"
KINDS = ("expected", "shown")


class Table(NamedTuple):
    """A table whose rows begin with their name; `ours` names the row that is set off."""

    head: list[str]
    rows: list[list[str]]
    ours: str | None = None


def methods_table(k: str, metrics: dict[str, Any]) -> Table:
    """Every method's hit rates, and our lift over it; limits of a simulation below."""
    methods = {"feedrank": metrics[f"hitrate@{k}"], **metrics[f"baselines@{k}"]}
    true, headline = metrics.get("demo", {}).get("true", {}), metrics["headline"]
    lifts = {name: supported(lead, headline) for name, lead in metrics[f"lead@{k}"].items()}
    rows = [
        [name, *(number(m[kind]) for kind in KINDS), number(m["catalogue"], 4),
         *([number(true.get(name))] if true else []),
         *(interval(lifts.get(name, {}), kind) for kind in KINDS)]
        for name, m in sorted(methods.items(), key=lambda m: -(m[1][headline] or 0.0))
    ]  # fmt: skip
    rows += [[name, *[EMPTY] * 3, number(value), *[EMPTY] * 2] for name, value in true.items()
             if name not in methods]  # fmt: skip
    rates = ["method", *KINDS, "catalogue", *(["true"] if true else [])]
    return Table([*rates, *(f"{kind} lift" for kind in KINDS)], rows, "feedrank")


def topics_table(details: dict[str, Any]) -> Table:
    """Impressions of the requests, by topic."""
    rates = {"liked": "liked", "predicted": "predicted", "auc": "AUC",
             "share_of_lists": "share of our lists"}  # fmt: skip
    rows = [
        [topic["topic"], f"{topic['impressions']:,}", *(number(topic[rate]) for rate in rates)]
        for topic in details["topics"]
    ]
    return Table(["topic", "impressions", *rates.values()], rows)


def ablation_table(ablation: dict[str, Any]) -> Table:
    """Hit rates without a part, and by how much they change."""
    rows = [
        [row["without"], *(number(row[kind]) for kind in KINDS),
         *(EMPTY if row["without"] == "full" else
           interval(row | {kind: row[f"{kind}_change"]}, kind) for kind in KINDS)]
        for row in ablation["rows"]
    ]  # fmt: skip
    return Table(["without", *KINDS, *(f"{CHANGE} {kind}" for kind in KINDS)], rows, "full")


def randomness_table(details: dict[str, Any], days: pd.DataFrame) -> Table:
    """Size and z of each test of the feed, one column a fold."""
    tests: dict[str, list[dict[str, Any]]] = {}
    for found in details["randomness"]:
        tests.setdefault(found["test"], []).append(found)
    rows = [
        [name, *(f"{number(f['size'])}, z {signed(f['z'], 1)}" for f in found),
         ", ".join(dict.fromkeys(f["verdict"] for f in found))]
        for name, found in tests.items()
    ]  # fmt: skip
    since = days.groupby("fold")["day"].min()
    return Table(["test", *(f"from {day}" for day in since), "verdict"], rows)


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for what was not judged."""
    return EMPTY if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A number that always has its sign."""
    return EMPTY if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def interval(values: Mapping[str, Any], kind: str) -> str:
    """A difference with its interval; a dash where there is none."""
    value, low, high = (values.get(f"{kind}{end}") for end in ("", "_low", "_high"))
    return EMPTY if value is None else f"{signed(value)} [{signed(low)}, {signed(high)}]"


def ends(values: dict[str, Any], kind: str) -> str:
    """Both ends of an interval; a dash where there is none."""
    low, high = (values[f"{kind}{end}"] for end in ("_low", "_high"))
    return EMPTY if low is None else f"{number(low)} to {number(high)}"
