"""What validation found, as the numbers and plots that DVC shows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feedrank.log import SECONDS_A_DAY, Log
from feedrank.params import ValidateParams
from feedrank.validation.folding import AGED, OURS, FoldResult, Scores, all_scores, lead
from feedrank.validation.metrics import auc, log_loss
from feedrank.validation.replay import Judged

DIGITS = 5


def metrics_of(
    results: Sequence[FoldResult], params: ValidateParams, truth: dict[str, Any] | None
) -> dict[str, Any]:
    """All numbers of `reports/metrics.json`: the headline first, baselines after.

    Args:
        results: of all folds; their requests are judged together.
        params: of validation.
        truth: on the demo, what `demo_report.truth_of` says.
    """
    judged = Judged.joined([r.judged for r in results])
    liked = np.concatenate([r.liked for r in results])
    probability = np.concatenate([r.probability for r in results])
    out: dict[str, Any] = {}
    for k in params.k:
        found = all_scores(judged, k, params)
        out[f"hitrate@{k}"] = _headline(found)
        out[f"lead@{k}"] = _leads(found)
        out[f"baselines@{k}"] = {name: _values(s) for name, s in found.items() if name != OURS}
    out["auc"] = _round(auc(liked, probability))
    out["log_loss"] = _round(log_loss(liked, probability))
    if truth is not None:
        out["demo"] = truth
    return out


def _headline(found: dict[str, Scores]) -> dict[str, Any]:
    ours = found[OURS]
    expected = ours.expected.estimate
    return {
        **_values(ours),
        "expected_low": _round(expected.low),
        "expected_high": _round(expected.high),
        "expected_aged": _round(found[AGED].expected.estimate.value),
        "shown_low": _round(ours.shown.low),
        "shown_high": _round(ours.shown.high),
        "n_requests": expected.n_requests,
        "n_requests_shown": ours.shown.n_requests,
        "n_matching": ours.expected.n_matching,
        "n_effective": round(ours.expected.n_effective),
    }


def _values(s: Scores) -> dict[str, float | None]:
    return {
        "expected": _round(s.expected.estimate.value),
        "shown": _round(s.shown.value),
        "catalogue": _round(s.catalogue.value),
    }


def _leads(found: dict[str, Scores]) -> dict[str, dict[str, float | None]]:
    leads = {
        name: lead(found[OURS].expected, s.expected)
        for name, s in found.items()
        if name not in (OURS, AGED)
    }
    return {
        name: {"expected": _round(e.value), "low": _round(e.low), "high": _round(e.high)}
        for name, e in leads.items()
    }


def days_of(results: Sequence[FoldResult], log: Log, params: ValidateParams) -> pd.DataFrame:
    """Hit rates by day of the test periods, with intervals, one row a day and method."""
    k = params.k[0]
    rows = []
    for result in results:
        judged = result.judged
        for day in np.unique(judged.at // SECONDS_A_DAY):
            part = judged.of_requests(judged.at // SECONDS_A_DAY == day)
            for name, s in all_scores(part, k, params).items():
                expected = s.expected.estimate
                rows.append(
                    {
                        "day": log.meta.moment(int(day) * SECONDS_A_DAY).date().isoformat(),
                        "method": name,
                        "expected": _round(expected.value),
                        "low": _round(expected.low),
                        "high": _round(expected.high),
                        "shown": _round(s.shown.value),
                        "requests": expected.n_requests,
                    }
                )
    return pd.DataFrame(rows)


def calibration_of(results: Sequence[FoldResult], bins: int = 20) -> pd.DataFrame:
    """Mean predicted probability and like rate of later rows, by equal shares of rows."""
    probability = np.concatenate([r.probability for r in results])
    liked = np.concatenate([r.liked for r in results])
    order = np.argsort(probability, kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p)]
    return pd.DataFrame(
        {
            "predicted": [_round(float(probability[p].mean())) for p in parts],
            "liked": [_round(float(liked[p].mean())) for p in parts],
            "rows": [len(p) for p in parts],
        }
    )


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Write numbers as JSON in their given order, the headline first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metrics, indent=2) + "\n")


def _round(value: float) -> float | None:
    """None, which JSON knows, for what was not judged."""
    return None if math.isnan(value) else round(float(value), DIGITS)
