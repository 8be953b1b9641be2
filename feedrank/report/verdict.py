"""Verdict: the first sentence of the page, for a reader who knows none of the terms."""

from __future__ import annotations

from typing import Any

from feedrank.validation.results.leads import decided, in_words

FED = {
    "expected": "our {k} posts hold one that the user likes",
    "shown": "our best {k} of the posts that were shown anyway hold one that the user likes",
}


def rival_of(k: str, metrics: dict[str, Any]) -> str:
    """The strongest method that ours is compared with, by the headline's hit rate."""
    kind, rates = metrics["headline"], metrics[f"baselines@{k}"]
    return max(metrics[f"lead@{k}"], key=lambda name: rates[name][kind] or 0.0)


def sentence(k: str, metrics: dict[str, Any]) -> str:
    """How often our lists are liked, how often those of the strongest rival, and if that differs.

    Args:
        k: length of the lists.
        metrics: of `reports/metrics.json`.
    """
    kind, ours, rival = metrics["headline"], metrics[f"hitrate@{k}"], rival_of(k, metrics)
    if ours[kind] is None:
        return "There is no request to judge the lists by."
    ends = ours[f"{kind}_low"], ours[f"{kind}_high"]
    words = "" if None in ends else " ({} to {})".format(*(round(100 * end) for end in ends))
    return (
        f"Of 100 times that a user opens the feed, {FED[kind].format(k=k)} about "
        f"{round(100 * ours[kind])} times{words}; the strongest other method, "
        f"{in_words(rival)}, manages about {round(100 * metrics[f'baselines@{k}'][rival][kind])}. "
        f"{_words(metrics[f'lead@{k}'][rival], kind)}"
    )


def _words(lead: dict[str, Any], kind: str) -> str:
    found = decided(lead, kind)
    if found == "ahead":
        return "Ours is better, beyond chance."
    if found == "behind":
        return "Ours is worse, beyond chance."
    if found.startswith("equal"):
        return "For all that matters, both are equal."
    words = f"Which one is better is {found}."
    if kind == "expected" and decided(lead, "shown") == "ahead":
        words += " Among the posts that were shown anyway, ours is better beyond chance."
    return words
