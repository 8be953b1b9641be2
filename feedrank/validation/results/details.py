"""Details behind the headline: `reports/details.json` and the tables of plots."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd

from feedrank.engines.engine import map_parts
from feedrank.log.files import Log
from feedrank.log.metadata import SECONDS_A_DAY, LogMeta
from feedrank.params import ValidateParams
from feedrank.stats.intervals import proportion, rounded
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.policies import Policies
from feedrank.validation.results.ranking_metrics import ranking_metrics
from feedrank.validation.results.trust import Trust


def details_of(
    results: Sequence[FoldResult], scores: Sequence[Scores], trust: Trust, params: ValidateParams
) -> dict[str, Any]:
    """Warnings, tests of the feed, matches, folds, ranks and reach, as `details.json` has them."""
    return {
        "warnings": trust.warnings,
        "feed": trust.feed,
        "shown_by": Policies.joined([r.policies for r in results]).n_shown,
        "trust": _trust(scores[0], trust),
        "randomness": _randomness(results),
        "matching": _matching(scores[0]),
        "folds": [_fold(result, params, trust) for result in results],
        "precision_by_rank": _precision(results, max(params.k)),
        "ranking": ranking_metrics(joined(results), scores[0], results[0].n_posts),
        "candidate_cut": _first_stage(results),
    }


def _trust(scores: Scores, trust: Trust) -> dict[str, Any]:
    return {
        "support": rounded(trust.support),
        "beyond_calibration": rounded(trust.beyond),
        "n_shown": scores.calibration.n_shown,
        "slope": rounded(scores.calibration.slope),
        "shared_variance": rounded(scores.methods[OURS].detail.variance),
    }


def _randomness(results: Sequence[FoldResult]) -> list[dict[str, Any]]:
    """One entry a fold and test."""
    return [
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
    ]


def _matching(scores: Scores) -> dict[str, Any]:
    """Matching impressions of each method, and their shift."""
    return {
        name: {
            "n_listed": shift.n_listed,
            "n_matching": shift.n_matching,
            "n_effective": rounded(shift.n_effective),
            "shift": rounded(shift.value),
        }
        for name, shift in ((name, hits.detail.shift) for name, hits in scores.methods.items())
    }


def _fold(result: FoldResult, params: ValidateParams, trust: Trust) -> dict[str, Any]:
    scores = score(result.replayed, result.names, params.k[0], params, (OURS,), result.others)
    ours = scores.without_intervals(trust.unjudged).methods[OURS]
    return {
        "cutoff": result.fold.cutoff,
        **ours.expected.entries("expected"),
        "shown": rounded(ours.shown.value),
        "strata_columns": list(result.strata_columns),
        "n_requests": ours.expected.n_requests,
    }


def _precision(results: Sequence[FoldResult], k: int) -> list[dict[str, Any]]:
    """Like rate of the impressions at each rank of our lists, then by doublings of the rank."""
    replayed = joined(results)
    rank = replayed.shown_rank[results[0].names.index(OURS)]
    edges, end = [*range(k + 1)], int(rank.max(initial=0)) + 1
    while edges[-1] < end:
        edges.append(min(2 * edges[-1], end))
    user = replayed.user[replayed.shown_request]
    rows = []
    for low, high in pairwise(edges):
        here = (rank >= low) & (rank < high)
        found = proportion(replayed.shown_liked[here], user[here])
        ranks = f"{high}" if high == low + 1 else f"{low + 1} to {high}"
        rows.append(
            {"ranks": ranks, **found.entries("liked", "low", "high"), "n": found.n_requests}
        )
    return rows


def _first_stage(results: Sequence[FoldResult]) -> dict[str, Any]:
    """Share of the best k of all posts that the first stage keeps."""
    kept = proportion(np.concatenate([r.kept for r in results]), joined(results).user)
    return {**kept.entries("kept", "low", "high"), "n_requests": kept.n_requests}


def days_of(
    results: Sequence[FoldResult], log: Log, params: ValidateParams, trust: Trust
) -> pd.DataFrame:
    """Hit rates of the headline's kind by day of the test periods, one row a day and method.

    Args:
        results: of all folds.
        log: whose calendar names the days.
        params: of the bootstrap.
        trust: of the headline.
    """
    days = [r.replayed.at // SECONDS_A_DAY for r in results]
    each = [(fold, int(day)) for fold, own in enumerate(days) for day in np.unique(own)]
    rows_of = partial(_day_rows, results, each, log.meta, params, trust)
    rows = map_parts(rows_of, len(each), "judging days")
    return pd.DataFrame([*chain.from_iterable(rows)])


def _day_rows(
    results: Sequence[FoldResult],
    days: Sequence[tuple[int, int]],
    meta: LogMeta,
    params: ValidateParams,
    trust: Trust,
    number: int,
) -> list[dict[str, Any]]:
    """One row a method, of one of the days."""
    fold, day = days[number]
    replayed, names = results[fold].replayed, results[fold].names
    part = replayed.of_requests(replayed.at // SECONDS_A_DAY == day)
    scores = score(part, names, params.k[0], params).without_intervals(trust.unjudged)
    name_of_day = meta.moment(day * SECONDS_A_DAY).date().isoformat()
    rates = {name: getattr(hits, trust.headline) for name, hits in scores.methods.items()}
    return [
        {
            "day": name_of_day,
            "fold": fold,
            "method": name,
            **rate.entries("rate", "low", "high"),
            "requests": rate.n_requests,
        }
        for name, rate in rates.items()
    ]


def calibration_of(results: Sequence[FoldResult]) -> pd.DataFrame:
    """Mean predicted probability and like rate of test rows, by twentieths of the rows."""
    probability = np.concatenate([r.probability for r in results])
    liked = np.concatenate([r.liked for r in results])
    order = np.argsort(probability, kind="stable")
    parts = [p for p in np.array_split(order, 20) if len(p)]
    return pd.DataFrame(
        {
            "predicted": [rounded(float(probability[p].mean())) for p in parts],
            "liked": [rounded(float(liked[p].mean())) for p in parts],
            "rows": [len(p) for p in parts],
        }
    )


def curve_of(results: Sequence[FoldResult]) -> pd.DataFrame:
    """Log loss by number of trees of the last fold's ranker."""
    rows = [(n, rounded(training), rounded(test)) for n, training, test in results[-1].curve]
    return pd.DataFrame(rows, columns=["trees", "training", "test"])
