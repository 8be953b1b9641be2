"""Leads in words: ours less a baseline, with its significance."""

from __future__ import annotations

import math
from collections.abc import Mapping

from feedrank.stats.decisions import EQUAL, decision

UNJUDGED = "undecided: no request judges both"
Lead = Mapping[str, "float | None"]


def lead_in_words(lead: Lead) -> str:
    """Numbers and verdict of one lead, by `expected` and by `shown`.

    Args:
        lead: of `reports/metrics.json`; a hit rate without a value has None and is left out.
    """
    return "; ".join(f"{k} {numbers(lead, k)}, {decided(lead, k)}" for k in _kinds(lead))


def leads_in_words(leads: Mapping[str, Lead], headline: str) -> list[str]:
    """Baselines significantly behind ours by all hit rates, then a sentence for each other one.

    Args:
        leads: by baseline, of `reports/metrics.json`.
        headline: 'shown' where `expected` is void: then no sentence rests on it.
    """
    leads = {name: supported(lead, headline) for name, lead in leads.items()}
    sure = [
        name
        for name, lead in leads.items()
        if _kinds(lead) and all(decided(lead, kind) == "ahead" for kind in _kinds(lead))
    ]
    first = [f"Significantly ahead of {', '.join(map(in_words, sure))}."] if sure else []
    return first + [
        f"Against {in_words(name)}: "
        + ("; ".join(f"by {k} {decided(lead, k)}" for k in _kinds(lead)) or UNJUDGED)
        + "."
        for name, lead in leads.items()
        if name not in sure
    ]


def first_k(metrics: Mapping[str, object]) -> str:
    """Length of the headline's lists, by the names of `reports/metrics.json`."""
    return next(key for key in metrics if key.startswith("hitrate@")).split("@")[1]


def in_words(method: str) -> str:
    """Name of a method for people."""
    return method.replace("_", " ")


def leaders_in_words(leads: Mapping[str, Lead], headline: str) -> str:
    """Baselines that are significantly ahead of ours, that none is, or that nothing tells.

    Args:
        leads: by baseline, of `reports/metrics.json`.
        headline: 'shown' where `expected` is void: then it is not looked at.
    """
    kept = {name: supported(lead, headline) for name, lead in leads.items()}
    ahead = [
        f"{in_words(name)} (ours less it: {kind} {numbers(lead, kind)})"
        for name, lead in kept.items()
        for kind in _kinds(lead)
        if behind(lead, kind)
    ]
    if not any(_has_interval(lead, kind) for lead in kept.values() for kind in _kinds(lead)):
        return "Too little is judged to tell whether a baseline is ahead of our lists."
    if not ahead:
        return "No baseline is significantly ahead of our lists."
    return f"Significantly ahead of our lists: {', '.join(ahead)}."


def supported(lead: Lead, headline: str) -> Lead:
    """The lead without `expected`, which is void where the headline is 'shown'."""
    return {**lead, "expected": None} if headline == "shown" else lead


def behind(lead: Lead, kind: str) -> bool:
    """Whether ours is significantly behind by a hit rate."""
    return decided(lead, kind) == "behind"


def _kinds(lead: Lead) -> list[str]:
    return [kind for kind in ("expected", "shown") if lead[kind] is not None]


def _rounded(lead: Lead, kind: str) -> tuple[float, ...]:
    """Value and ends as they are printed, NaN for none; the sum turns -0.0 into 0.0."""
    numbers = (lead[f"{kind}{end}"] for end in ("", "_low", "_high"))
    return tuple(math.nan if x is None else round(x, 3) + 0.0 for x in numbers)


def _has_interval(lead: Lead, kind: str) -> bool:
    return lead[f"{kind}_low"] is not None


def numbers(lead: Lead, kind: str) -> str:
    """A lead by one hit rate, with its interval if it has one."""
    value, low, high = _rounded(lead, kind)
    return f"{value:+.3f}" + (f" [{low:+.3f}, {high:+.3f}]" if _has_interval(lead, kind) else "")


def decided(lead: Lead, kind: str) -> str:
    """Ahead, behind, equal, or undecided with what it would take, by one hit rate."""
    if lead[kind] is None:
        return UNJUDGED
    return decision_by(kind, *_rounded(lead, kind))


def decision_by(kind: str, value: float, low: float, high: float, tolerance: float = EQUAL) -> str:
    """Decision by one hit rate, such as 'shown' or 'expected@5'.

    How many requests would tell is not said of `expected`: it counts the matches of all requests of
    the test days already, and what these leave unknown falls with more days alone.
    """
    return decision(value, low, high, tolerance, narrows=not kind.startswith("expected"))
