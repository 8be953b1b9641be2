"""What stands behind the headline: `reports/details.json` and the tables of plots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from feedrank.log.files import SECONDS_A_DAY, Log
from feedrank.params import ValidateParams
from feedrank.stats.intervals import proportion
from feedrank.stats.rounding import rounded
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.results.warnings import Trust


def details_of(
    results: Sequence[FoldResult], scores: Sequence[Scores], trust: Trust, params: ValidateParams
) -> dict[str, Any]:
    """How the estimate came about, what each rank is worth, and how wide the lists reach."""
    first = scores[0]
    judged = joined(results)
    kept = proportion(np.concatenate([r.kept for r in results]), judged.user)
    return {
        "warnings": trust.warnings,
        "feed": trust.feed,
        "trust": {
            "support": rounded(trust.support),
            "beyond_calibration": rounded(trust.beyond),
            "n_shown": first.calibration.n_shown,
            "slope": rounded(first.calibration.slope),
            "shared_variance": rounded(first.methods[OURS].detail.variance),
        },
        "randomness": [
            {
                "fold": number,
                "test": f.name,
                "size": rounded(f.size),
                "z": rounded(f.z),
                "is_fair": f.is_fair,
                "verdict": f.verdict,
                "words": f.words,
            }
            for number, result in enumerate(results)
            for f in result.randomness
        ],
        "matching": {
            name: {
                "n_listed": n_listed(judged.rank[method], first.k),
                "n_matching": hits.detail.n_matching,
                "n_effective": rounded(hits.detail.n_effective),
                "shift": rounded(hits.detail.shift),
            }
            for method, (name, hits) in enumerate(first.methods.items())
        },
        "folds": [_fold(result, params) for result in results],
        "precision_by_rank": _precision(results, max(params.k)),
        "catalogue_recommended": _reach(results, first.k),
        "candidate_cut": {
            "kept": rounded(kept.value),
            "low": rounded(kept.low),
            "high": rounded(kept.high),
            "n_requests": kept.n_requests,
        },
    }


def n_listed(rank: np.ndarray, k: int) -> int:
    """How many impressions stand in a method's lists of k themselves; matches also stand near."""
    return int(np.sum((rank >= 0) & (rank < k)))


def _fold(result: FoldResult, params: ValidateParams) -> dict[str, Any]:
    found = score(result.judged, result.names, params.k[0], params, (OURS,)).methods[OURS]
    return {
        "cutoff": result.fold.cutoff,
        "expected": rounded(found.expected.value),
        "expected_low": rounded(found.expected.low),
        "expected_high": rounded(found.expected.high),
        "shown": rounded(found.shown.value),
        "n_requests": found.expected.n_requests,
    }


def _precision(results: Sequence[FoldResult], k: int) -> list[dict[str, Any]]:
    """Like rate of the impressions that happen to stand at each rank of our lists.

    Also of the ranks beyond, by doublings: few impressions match the very first ones.
    """
    judged = joined(results)
    rank = judged.rank[results[0].names.index(OURS)]
    edges = [*range(k + 1)]
    while edges[-1] <= rank.max(initial=0):
        edges.append(2 * edges[-1])
    user = judged.user[judged.shown_request]
    rows = []
    for low, high in pairwise(edges):
        here = (rank >= low) & (rank < high)
        found = proportion(judged.shown_liked[here], user[here])
        rows.append(
            {
                "ranks": f"{low + 1}" if high == low + 1 else f"{low + 1} to {high}",
                "liked": rounded(found.value),
                "low": rounded(found.low),
                "high": rounded(found.high),
                "n": found.n_requests,
            }
        )
    return rows


def _reach(results: Sequence[FoldResult], k: int) -> dict[str, float | None]:
    """Share of all posts that stand in any list of each method."""
    judged = joined(results)
    n_posts = results[0].n_posts
    return {
        name: rounded(len(np.unique(top[top >= 0])) / max(n_posts, 1))
        for name, top in zip(results[0].names, judged.top[:, :, :k], strict=True)
    }


def days_of(results: Sequence[FoldResult], log: Log, params: ValidateParams) -> pd.DataFrame:
    """Hit rates by day of the test periods, with intervals, one row a day and method."""
    rows = []
    for fold, result in enumerate(results):
        judged = result.judged
        for day in np.unique(judged.at // SECONDS_A_DAY):
            part = judged.of_requests(judged.at // SECONDS_A_DAY == day)
            for name, hits in score(part, result.names, params.k[0], params).methods.items():
                rows.append(
                    {
                        "day": log.meta.moment(int(day) * SECONDS_A_DAY).date().isoformat(),
                        "fold": fold,
                        "method": name,
                        "expected": rounded(hits.expected.value),
                        "low": rounded(hits.expected.low),
                        "high": rounded(hits.expected.high),
                        "shown": rounded(hits.shown.value),
                        "shown_low": rounded(hits.shown.low),
                        "shown_high": rounded(hits.shown.high),
                        "requests": hits.expected.n_requests,
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
            "predicted": [rounded(float(probability[p].mean())) for p in parts],
            "liked": [rounded(float(liked[p].mean())) for p in parts],
            "rows": [len(p) for p in parts],
        }
    )


def curve_of(results: Sequence[FoldResult]) -> pd.DataFrame:
    """Log loss by number of trees of the last fold's ranker."""
    rows = [(n, rounded(seen), rounded(later)) for n, seen, later in results[-1].curve]
    return pd.DataFrame(rows, columns=["trees", "seen", "later"])
