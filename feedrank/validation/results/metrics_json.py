"""Metrics: the numbers of `reports/metrics.json`, in a stable order, the headline first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.io.files import write_whole
from feedrank.stats.classification import auc, calibration_error, log_loss
from feedrank.stats.intervals import Estimate, rounded
from feedrank.validation.fold import FoldResult
from feedrank.validation.hitrate.scores import KINDS, Hits, Scores
from feedrank.validation.methods import AGED, FRESH, OURS
from feedrank.validation.results.trust import Trust


def metrics_of(
    results: Sequence[FoldResult],
    scores: Sequence[Scores],
    trust: Trust,
    truth: dict[str, Any] | None,
) -> dict[str, Any]:
    """All numbers of `reports/metrics.json`: the headline first, baselines after.

    Args:
        results: of all folds; their requests are scored together.
        scores: of each k, the headline's first.
        trust: of the headline.
        truth: on the demo, the result of `oracle.true_hit_rates.truth_of`.
    """
    liked = np.concatenate([r.liked for r in results])
    probability = np.concatenate([r.probability for r in results])
    out: dict[str, Any] = {f"hitrate@{s.k}": _headline(s) for s in scores}
    out["auc"] = rounded(auc(liked, probability))
    out["log_loss"] = rounded(log_loss(liked, probability))
    out["calibration_error"] = rounded(calibration_error(liked, probability))
    out["warnings"] = len(trust.warnings)
    out["severe"] = trust.severe
    out["headline"] = trust.headline
    for found in scores:
        others = {n: h for n, h in found.methods.items() if n != OURS}
        out[f"lead@{found.k}"] = {n: _lead(found, n) for n in others if n not in (AGED, FRESH)}
        out[f"baselines@{found.k}"] = {name: _values(hits) for name, hits in others.items()}
    if truth is not None:
        out["demo"] = truth
    return out


def headline_of(metrics: dict[str, Any]) -> dict[str, float | None]:
    """The few numbers of `reports/headline.json`, flat, for `dvc metrics` and `dvc exp show`.

    Args:
        metrics: of `metrics_of`.
    """
    out: dict[str, float | None] = {}
    for name, ours in metrics.items():
        kind, _, k = name.partition("@")
        if kind == "hitrate":
            out |= {f"{kind}@{k}": ours[kind] for kind in KINDS}
            out[f"lead@{k}"] = metrics[f"lead@{k}"]["most_liked"][metrics["headline"]]
    first = next(iter(metrics.values()))
    out |= {name: first[name] for name in ("expected_low", "expected_high", "n_requests")}
    plain = ("auc", "log_loss", "calibration_error", "warnings")
    return out | {name: metrics[name] for name in plain}


def _headline(found: Scores) -> dict[str, Any]:
    ours = found.methods[OURS]
    other = next(n for n in found.methods if n in (AGED, FRESH))
    return {
        **_values(ours),
        **_ends(ours.expected, "expected"),
        **_ends(ours.shown, "shown"),
        f"expected_{other.removeprefix(OURS + '_')}": rounded(found.methods[other].expected.value),
        "n_requests": ours.expected.n_requests,
        "n_requests_shown": ours.shown.n_requests,
        "n_matching": ours.detail.shift.n_matching,
        "n_effective": round(ours.detail.shift.n_effective),
    }


def _values(hits: Hits) -> dict[str, float | None]:
    return {kind: rounded(getattr(hits, kind).value) for kind in KINDS}


def _ends(found: Estimate, name: str) -> dict[str, float | None]:
    return {key: value for key, value in found.entries(name).items() if key != name}


def _lead(found: Scores, other: str) -> dict[str, float | None]:
    leads = {kind: found.lead(OURS, other, kind) for kind in ("expected", "shown")}
    return {k: v for kind, lead in leads.items() for k, v in lead.entries(kind).items()}


def write_json(path: Path, values: Any) -> None:
    """Write values as JSON in their given order, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())
