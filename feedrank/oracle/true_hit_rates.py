"""On the demo the truth is known: what every method's lists would really have got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.demo.truth import ARRAYS, Truth
from feedrank.log.files import Log
from feedrank.oracle.limits import informed_lists, oracle_lists
from feedrank.params import ValidateParams
from feedrank.stats.hits import expected_hit_at_k
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult


def truth_of(
    directory: Path,
    log: Log,
    results: Sequence[FoldResult],
    params: ValidateParams,
    barred: Sequence[np.ndarray] | None = None,
) -> dict[str, Any] | None:
    """True hit rates of all methods and limits; None where the source was not the demo.

    Args:
        directory: of the truth that the extract copied.
        log: extracted feed.
        results: of all folds.
        params: of validation; the first k is looked at.
        barred: posts that no method may list, of each request. None: all may be.

    Returns:
        `true`: by method and limit; `share_of_way`: ours, from random to the informed limit;
        `regret`: by how much the oracle exceeds ours.
    """
    if not (directory / ARRAYS).exists():
        return None
    hits = true_hits(Truth.load(directory), log, results, params.k[0], barred)
    true = {name: float(value.mean()) for name, value in hits.items()}
    return {
        "share_of_way": round(share_of_way(true), 5),
        "regret": round(true["oracle"] - true[OURS], 5),
        "true": {name: round(value, 5) for name, value in true.items()},
    }


def share_of_way(true: Mapping[str, float]) -> float:
    """How far ours comes of the way from random to the informed limit; NaN if there is none."""
    way = true["informed"] - true["random"]
    return (true[OURS] - true["random"]) / way if way > 0 else float("nan")


def true_hits(
    truth: Truth,
    log: Log,
    results: Sequence[FoldResult],
    k: int,
    barred: Sequence[np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Each request's probability of a like, by method and limit, each of shape (n_requests,).

    The limits choose from the posts that the methods chose from: all but the barred.
    """
    judged = joined(results)
    lists = dict(zip(results[0].names, judged.top[:, :, :k], strict=True))
    lists["informed"] = informed_lists(truth, log, judged.user, judged.at, k, barred=barred)
    at = judged.at + truth.seconds(log.meta.origin_at)
    lists["oracle"] = oracle_lists(truth, judged.user, at, k, barred)
    return {name: hits_of_lists(truth, log, judged, posts) for name, posts in lists.items()}


def hits_of_lists(truth: Truth, log: Log, judged: ReplayResult, posts: np.ndarray) -> np.ndarray:
    """Probability that a list holds a like, shape (n_requests,), of lists (n_requests, k).

    An empty place, -1, is liked by nobody.
    """
    k = posts.shape[1]
    at = judged.at + truth.seconds(log.meta.origin_at)
    user, at = np.repeat(judged.user, k), np.repeat(at, k)
    chance = truth.probability(user, posts.ravel(), at).reshape(-1, k)
    return expected_hit_at_k(np.where(posts >= 0, chance, 0.0))
