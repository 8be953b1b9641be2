"""The tables of the report: on a phone each row is stacked, its cells beside their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import pandas as pd

EMPTY, CHANGE = "\N{EN DASH}", "\N{GREEK CAPITAL LETTER DELTA}"
ENDS = ("", "_low", "_high")
WIDE = 21  # letters of a name with its cell that fit in half the width of a phone


def table(head: Sequence[str], rows: Sequence[Sequence[str]], ours: str | None = None) -> str:
    """A table, the first cell of a row being its name; `ours` is the one that is set off."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    sizes = [max((len(row[i]) for row in rows), default=0) for i in range(len(head))]
    is_wide = [len(name) + size > WIDE for name, size in zip(head, sizes, strict=True)]
    lines = (
        ('<tr class="ours">' if row[0] == ours else "<tr>")
        + f'<th scope="row">{escape(row[0])}</th>'
        + "".join(_cell(*cell) for cell in zip(head[1:], row[1:], is_wide[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _cell(name: str, words: str, is_wide: bool) -> str:
    tone = " ".join(t for t, holds in (("wide", is_wide), ("none", words == EMPTY)) if holds)
    return f'<td class="{tone}" data-name="{escape(name)}">{escape(words)}</td>'


def methods_table(k: str, metrics: dict[str, Any]) -> str:
    """Every method's hit rates, and how far ours leads it."""
    methods = {"feedrank": metrics[f"hitrate@{k}"], **metrics[f"baselines@{k}"]}
    leads, true = metrics[f"lead@{k}"], metrics.get("demo", {}).get("true", {})
    head = ["method", "expected", "our lead", "shown", "lead of shown", "catalogue"]
    head += ["true"] if true else []
    rows = []
    for name, values in sorted(methods.items(), key=lambda m: -(m[1]["expected"] or 0.0)):
        lead = leads.get(name)
        expected, shown = (
            EMPTY if lead is None else changed(*(lead[f"{kind}{end}"] for end in ENDS))
            for kind in ("expected", "shown")
        )
        numbers = [number(values["expected"]), expected, number(values["shown"]), shown,
                   number(values["catalogue"], 4)]  # fmt: skip
        rows.append([name, *numbers, *([number(true.get(name))] if true else [])])
    limits = [name for name in ("informed", "oracle") if name in true]
    rows += [[name, *[EMPTY] * 5, number(true[name])] for name in limits]
    return table(head, rows, "feedrank")


def topics_table(details: dict[str, Any]) -> str:
    """Impressions of the requests, by topic."""
    head = ["topic", "impressions", "liked", "predicted", "AUC", "share of our lists"]
    rows = [
        [t["topic"], f"{t['impressions']:,}", number(t["liked"]), number(t["predicted"]),
         number(t["auc"]), number(t["share_of_lists"])]
        for t in details["topics"]
    ]  # fmt: skip
    return table(head, rows)


def ablation_table(ablation: dict[str, Any]) -> str:
    """Hit rates without a part, and by how much they change."""
    head = ["without", "expected", f"{CHANGE} expected", "shown", f"{CHANGE} shown"]
    rows = [
        [row["without"], *(
            cell for kind in ("expected", "shown")
            for cell in (number(row[kind]), EMPTY if row["without"] == "full" else
                         changed(*(row[f"{kind}_{end}"] for end in ("change", "low", "high"))))
        )]
        for row in ablation["rows"]
    ]  # fmt: skip
    return table(head, rows, "full")


def randomness_table(details: dict[str, Any], days: pd.DataFrame) -> str:
    """What each test of the feed found, one column a fold."""
    since = days.groupby("fold")["day"].min()
    tests: dict[str, list[dict[str, Any]]] = {}
    for found in details["randomness"]:
        tests.setdefault(found["test"], []).append(found)
    head = ["test", *(f"from {day}" for day in since), "verdict"]
    rows = [
        [name, *(f"{number(f['size'])}, z {signed(f['z'], 1)}" for f in found),
         ", ".join(dict.fromkeys(f["verdict"] for f in found))]
        for name, found in tests.items()
    ]  # fmt: skip
    return table(head, rows)


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for what was not judged."""
    return EMPTY if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 3) -> str:
    """A number that always has its sign."""
    return EMPTY if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def changed(value: float | None, low: float | None, high: float | None) -> str:
    """A difference with its interval."""
    return EMPTY if value is None else f"{signed(value)} [{signed(low)}, {signed(high)}]"


def items(words: Iterable[str]) -> str:
    """A list of sentences."""
    return f"<ul>{''.join(f'<li>{escape(w)}</li>' for w in words)}</ul>"
