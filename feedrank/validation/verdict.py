"""A lead in words."""

from __future__ import annotations

from collections.abc import Mapping

Lead = Mapping[str, "float | None"]


def leads_in_words(lead: Lead) -> str:
    """By how much ours leads one method in `expected` and in `shown`, and whether it surely does.

    Args:
        lead: of `reports/metrics.json`; a kind that could not be judged has None and is left out.
    """
    kinds = [kind for kind in ("expected", "shown") if lead[kind] is not None]
    return "; ".join(f"{kind} {_words(lead, kind)}" for kind in kinds)


def _words(lead: Lead, kind: str) -> str:
    value, low, high = (
        round(lead[f"{kind}{end}"] or 0.0, 3) + 0.0 for end in ("", "_low", "_high")
    )
    verdict = "ahead" if low > 0 else "behind" if high < 0 else "too close to tell"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}], {verdict}"
