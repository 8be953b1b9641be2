"""Gate of a deployment: reasons why an artifact does not go live by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import MANIFEST, REQUESTS, read_manifest
from feedrank.errors import ArtifactError, FeedrankError
from feedrank.experiments.comparison.champion import hits_of_champion
from feedrank.experiments.comparison.difference import is_refused
from feedrank.experiments.comparison.pairs import RESAMPLES, Pairs, kind_of
from feedrank.validation.results.leads import behind, first_k, numbers
from feedrank.validation.results.requests_table import read_requests

# Rules that need no ranker at all.
SIMPLE = ("random", "most_liked", "most_liked_by_segment", "decayed_likes")
SEED = 20  # of the resamples: any number


def reasons_against(new: Path, live: Path | None) -> list[str]:
    """Sentences that say why an artifact should not replace the live one; none if nothing does.

    Args:
        new: directory of the artifact.
        live: directory of the one that is served; None if nothing is.

    Raises:
        ArtifactError: the new one is no artifact of this code.
    """
    metrics = read_manifest(new).get("metrics", {})
    if "severe" not in metrics:
        return [f"'{new / MANIFEST}' holds no verdict of its validation. Export it again."]
    found = [*metrics["severe"], *_behind_simple(metrics)]
    return found if live is None else [*found, *_worse(new, live)]


def _behind_simple(metrics: dict[str, Any]) -> Iterator[str]:
    kind, k = metrics["headline"], first_k(metrics)
    for name in SIMPLE:
        if (lead := metrics[f"lead@{k}"].get(name)) and behind(lead, kind):
            yield f"It is significantly behind '{name}', by {kind}@{k}: {numbers(lead, kind)}."


def _worse(new: Path, live: Path) -> Iterator[str]:
    """Sentences about hit rates by which the new one is significantly worse than the live one."""
    for pairs_of in (_validated_by_both, _answered_by_the_live_one):
        try:
            pairs = pairs_of(new, live)
            kinds = [kind_of(kind, pairs.first_k()) for kind in pairs.decisive()]
        except FeedrankError:
            continue  # no such requests or too few, of another log or length, or of older code
        differences = [pairs.difference(kind) for kind in kinds if kind in pairs.kinds()]
        if not any(found.gain.has_interval for found in differences):
            continue  # too few of them are judged
        for found in differences:
            if is_refused(found, 0, "worse"):
                yield (
                    f"On {found.gain.n_requests} requests that both answered, the live one beats "
                    f"it by {-found.gain.value:.4f} [{-found.gain.high:.4f}, "
                    f"{-found.gain.low:.4f}] of {found.kind}."
                )
        return
    # Of one log, but other requests: each is known by its lead over a rule.
    yield from _worse_by_leads(new, live)


def _validated_by_both(new: Path, live: Path) -> Pairs:
    return Pairs.of(_requests(live), _requests(new), RESAMPLES, SEED)


def _answered_by_the_live_one(new: Path, live: Path) -> Pairs:
    """Requests of the new one after the live one's log: leads of other weeks say nothing."""
    requests, k = _requests(new), int(first_k(_manifest_metrics(new)))
    hits = hits_of_champion(Artifact.load(live), Artifact.load(new), requests, k)
    return Pairs.of(hits, requests, RESAMPLES, SEED)


def _requests(directory: Path) -> Any:
    path = directory / REQUESTS
    if not path.exists():
        raise FeedrankError(f"'{path}' is missing. Export again with this code.")
    return read_requests(path.read_bytes(), str(path))


def _worse_by_leads(new: Path, live: Path) -> Iterator[str]:
    try:
        ours, theirs = (_manifest_metrics(directory) for directory in (new, live))
    except ArtifactError:
        return  # the live one is of older code: the new one was read already
    if "severe" not in theirs or f"lead@{first_k(ours)}" not in theirs:
        return  # the live one says nothing that could be compared
    kind = "shown" if "shown" in (ours["headline"], theirs["headline"]) else "expected"
    for name in SIMPLE[1:]:
        a, b = (m[f"lead@{first_k(ours)}"].get(name) for m in (theirs, ours))
        if a and b and _is_below(b[f"{kind}_high"], a[f"{kind}_low"]):
            yield (
                f"Its lead over '{name}' by {kind}, {numbers(b, kind)}, lies below the live one's, "
                f"{numbers(a, kind)}; no requests are in common."
            )


def _is_below(high: float | None, low: float | None) -> bool:
    """Whether an interval lies below another; not where one of them is missing."""
    return high is not None and low is not None and high < low


def _manifest_metrics(directory: Path) -> dict[str, Any]:
    return dict(read_manifest(directory).get("metrics", {}))
