"""The tables of the page, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from feedrank.stats.decisions import MORE_DAYS
from feedrank.validation.results.leads import decided, in_words

EMPTY, CHANGE, MINUS = "\N{EN DASH}", "\N{GREEK CAPITAL LETTER DELTA}", "\N{MINUS SIGN}"


class Table(NamedTuple):
    """A table whose rows begin with their name; `ours` names the row that is set off."""

    head: list[str]
    rows: list[list[str]]
    ours: str | None = None


def kinds_of(metrics: dict[str, Any]) -> tuple[str, ...]:
    """Hit rates of the page, the headline's first: a void `expected` is on none of its tables."""
    return ("shown",) if metrics["headline"] == "shown" else ("expected", "shown")


def methods_table(k: str, metrics: dict[str, Any]) -> Table:
    """Every method's hit rates, our lift over it, and whether we lead; limits of a simulation."""
    methods = {"feedrank": metrics[f"hitrate@{k}"], **metrics[f"baselines@{k}"]}
    true, kinds = metrics.get("demo", {}).get("true", {}), kinds_of(metrics)
    lifts = metrics[f"lead@{k}"]
    rows = [
        [in_words(name), *(number(m[kind]) for kind in kinds),
         *([number(true.get(name))] if true else []),
         *(interval(lifts.get(name, {}), kind) for kind in kinds),
         _briefly(decided(lifts[name], kinds[0])) if name in lifts else EMPTY]
        for name, m in sorted(methods.items(), key=lambda m: -(m[1][kinds[0]] or 0.0))
    ]  # fmt: skip
    rows += [[name, *[EMPTY] * len(kinds), number(value), *[EMPTY] * (len(kinds) + 1)]
             for name, value in true.items() if name not in methods]  # fmt: skip
    rates = ["method", *kinds, *(["true"] if true else [])]
    head = [*rates, *(f"{kind} lift" for kind in kinds), f"ours is, by {kinds[0]}"]
    return Table(head, rows, "feedrank")


def ranking_table(details: dict[str, Any], k: str) -> Table:
    """Ranking metrics of each method, with intervals."""
    names = [f"{name}@{k}" for name in ("ndcg", "mrr", "recall", "novelty", "coverage")]
    rows = [
        [in_words(method), *(_with_ends(values, name) for name in names)]
        for method, values in details["ranking"].items()
    ]  # fmt: skip
    head = [f"NDCG@{k}", f"MRR@{k}", f"recall@{k}", f"novelty@{k}", f"coverage@{k}"]
    return Table(["method", *head], rows, "feedrank")


def topics_table(details: dict[str, Any]) -> Table:
    """Impressions of the requests, by topic."""
    rates = {"liked": "liked", "predicted": "predicted", "auc": "AUC",
             "share_of_lists": "share of our lists"}  # fmt: skip
    rows = [
        [topic["topic"], f"{topic['impressions']:,}", *(number(topic[rate]) for rate in rates)]
        for topic in details["topics"]
    ]
    return Table(["topic", "impressions", *rates.values()], rows)


def ablation_table(ablation: dict[str, Any], kinds: Sequence[str]) -> Table:
    """Hit rates without a part, and by how much they change."""
    rows = [
        [row["without"], *(number(row[kind]) for kind in kinds),
         *(EMPTY if row["without"] == "full" else
           interval(row | {kind: row[f"{kind}_change"]}, kind) for kind in kinds)]
        for row in ablation["rows"]
    ]  # fmt: skip
    return Table(["without", *kinds, *(f"{CHANGE} {kind}" for kind in kinds)], rows, "full")


def randomness_table(details: dict[str, Any], days: pd.DataFrame) -> Table:
    """Size and z of each test of the feed, one column a fold."""
    tests: dict[str, list[dict[str, Any]]] = {}
    for found in details["randomness"]:
        tests.setdefault(found["test"], []).append(found)
    rows = [
        [in_words(name), *(f"{number(f['size'])}, z {signed(f['z'], 1)}" for f in found),
         ", ".join(dict.fromkeys(f["verdict"] for f in found))]
        for name, found in tests.items()
    ]  # fmt: skip
    since = days.groupby("fold")["day"].min()
    return Table(["test", *(f"from {day}" for day in since), "verdict"], rows)


def number(value: float | None) -> str:
    """A number, or a dash for what was not judged."""
    return EMPTY if value is None else f"{value:.3f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A number that always has its sign."""
    return EMPTY if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def interval(values: Mapping[str, Any], kind: str) -> str:
    """A difference with its interval, alone without one; a dash where there is none."""
    value, low, high = (values.get(f"{kind}{end}") for end in ("", "_low", "_high"))
    return signed(value) + ("" if low is None else f" [{signed(low)}, {signed(high)}]")


def _briefly(decision: str) -> str:
    """A decision in the width of a column: 'undecided, 5 times'."""
    briefly = decision.removesuffix(" the requests would tell").removesuffix(f", {MORE_DAYS}")
    return briefly.replace("about ", "")


def _with_ends(values: Mapping[str, Any], name: str) -> str:
    """A value with its interval, if it has one."""
    if values.get(f"{name}_low") is None:
        return number(values.get(name))
    low, high = (number(values[f"{name}{end}"]) for end in ("_low", "_high"))
    return f"{number(values[name])} [{low}, {high}]"


def ends(values: dict[str, Any], kind: str) -> str:
    """Both ends of an interval; a dash where there is none."""
    low, high = (values[f"{kind}{end}"] for end in ("_low", "_high"))
    return EMPTY if low is None else f"{number(low)} to {number(high)}"
