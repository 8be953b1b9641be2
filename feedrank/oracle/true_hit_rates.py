"""True hit rates of lists on the demo, whose like probabilities are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.demo.truth import ARRAYS, Truth
from feedrank.log.files import Log
from feedrank.oracle.limits import Barred, informed_lists, oracle_lists
from feedrank.params import ValidateParams
from feedrank.stats.hits import expected_hit_at_k
from feedrank.stats.intervals import rounded
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult


def truth_of(
    directory: Path,
    log: Log,
    results: Sequence[FoldResult],
    params: ValidateParams,
    barred: Barred = None,
) -> dict[str, Any] | None:
    """True hit rates of all methods and limits; None where the source was not the demo.

    Args:
        directory: of the truth that the extract copied.
        log: extracted feed.
        results: of all folds.
        params: of validation, whose first k is the length of the lists.
        barred: posts that no method may list, of each request. None: all may be.

    Returns:
        `true`: by method and limit; `share_of_way`: see there; `regret`: oracle less ours.
    """
    if not (directory / ARRAYS).exists():
        return None
    hits = true_hits(Truth.load(directory), log, results, params.k[0], barred)
    true = {name: float(value.mean()) for name, value in hits.items()}
    return {
        "share_of_way": rounded(share_of_way(true)),
        "regret": rounded(true["oracle"] - true[OURS]),
        "true": {name: rounded(value) for name, value in true.items()},
    }


def share_of_way(true: Mapping[str, float]) -> float:
    """(ours - random) / (informed - random); NaN if the informed limit is not above random."""
    way = true["informed"] - true["random"]
    return (true[OURS] - true["random"]) / way if way > 0 else float("nan")


def true_hits(
    truth: Truth, log: Log, results: Sequence[FoldResult], k: int, barred: Barred = None
) -> dict[str, np.ndarray]:
    """Each request's probability of a hit, by method and limit, each of shape (n_requests,).

    The limits choose from the posts that the methods choose from: all but the barred.
    """
    replayed = joined(results)
    lists = dict(zip(results[0].names, replayed.top[:, :, :k], strict=True))
    lists["informed"] = informed_lists(truth, log, replayed.user, replayed.at, k, barred)
    at = replayed.at + truth.seconds(log.meta.origin_at)
    lists["oracle"] = oracle_lists(truth, replayed.user, at, k, barred)
    return {name: hits_of_lists(truth, log, replayed, posts) for name, posts in lists.items()}


def hits_of_lists(truth: Truth, log: Log, replayed: ReplayResult, posts: np.ndarray) -> np.ndarray:
    """Probability that a list holds a like, shape (n_requests,), of lists (n_requests, k).

    An empty place, -1, is liked by nobody.
    """
    k = posts.shape[1]
    at = replayed.at + truth.seconds(log.meta.origin_at)
    user, at = np.repeat(replayed.user, k), np.repeat(at, k)
    chance = truth.probability(user, posts.ravel(), at).reshape(-1, k)
    return expected_hit_at_k(np.where(posts >= 0, chance, 0.0))
