"""True hit rates of lists on the demo, whose like probabilities are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.demo.truth import ARRAYS, Truth
from feedrank.engines.engine import map_parts
from feedrank.log.files import Log
from feedrank.oracle.limits import Barred, PostQuality, informed_in, oracle_lists
from feedrank.params import ValidateParams
from feedrank.stats.hits import expected_hit_at_k
from feedrank.stats.intervals import rounded
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult

# Requests, evenly spread, that limits are of at least where there are so many: each takes 2 ms, and
# the standard error of 5,000 is .002.
LIMIT_REQUESTS = 5_000


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
        `true`: by method, of all requests, and limit, of some; `share_of_way`: see there, and
        `regret`, the oracle less ours: of the same requests as the limits.
    """
    if not (directory / ARRAYS).exists():
        return None
    truth, replayed, k = Truth.load(directory), joined(results), params.k[0]
    hits = _of_methods(truth, log, results, replayed, k)
    some = np.zeros(len(replayed.user), bool)
    some[:: max(1, len(some) // LIMIT_REQUESTS)] = True
    own = None if barred is None else [barred[i] for i in np.flatnonzero(some).tolist()]
    limits = _of_limits(truth, log, replayed.of_requests(some), k, own)
    same = {name: float(value[some].mean()) for name, value in hits.items()}
    same |= {name: float(value.mean()) for name, value in limits.items()}
    true = same | {name: float(value.mean()) for name, value in hits.items()}
    return {
        "share_of_way": rounded(share_of_way(same)),
        "regret": rounded(same["oracle"] - same[OURS]),
        "true": {name: rounded(true[name]) for name in (*hits, *limits)},
    }


def share_of_way(true: Mapping[str, float]) -> float:
    """(ours - random) / (informed - random); NaN if the informed limit is not above random."""
    way = true["informed"] - true["random"]
    return (true[OURS] - true["random"]) / way if way > 0 else float("nan")


def true_hits(
    truth: Truth, log: Log, results: Sequence[FoldResult], k: int, barred: Barred = None
) -> dict[str, np.ndarray]:
    """Each request's probability of a hit, by method and limit, each of shape (n_requests,).

    The limits choose from all posts but the barred, also from those that the feed never showed.
    """
    replayed = joined(results)
    methods = _of_methods(truth, log, results, replayed, k)
    return methods | _of_limits(truth, log, replayed, k, barred)


def _of_methods(
    truth: Truth, log: Log, results: Sequence[FoldResult], replayed: ReplayResult, k: int
) -> dict[str, np.ndarray]:
    lists = zip(results[0].names, replayed.top[:, :, :k], strict=True)
    return {name: hits_of_lists(truth, log, replayed, posts) for name, posts in lists}


def _of_limits(
    truth: Truth, log: Log, replayed: ReplayResult, k: int, barred: Barred
) -> dict[str, np.ndarray]:
    user, at = replayed.user, replayed.at
    quality = PostQuality.before(truth, log, at)
    limits = partial(_limits, truth, log, quality, user, at, k, barred)
    lists = {name: np.full((len(user), k), -1) for name in ("informed", "oracle")}
    for requests, *both in map_parts(limits, log.meta.n_buckets, "ranking by the truth"):
        lists["informed"][requests], lists["oracle"][requests] = both
    return {name: hits_of_lists(truth, log, replayed, posts) for name, posts in lists.items()}


def _limits(
    truth: Truth,
    log: Log,
    quality: PostQuality,
    user: np.ndarray,
    at: np.ndarray,
    k: int,
    barred: Barred,
    bucket: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the requests of one bucket's users, with the lists of both limits."""
    requests, informed = informed_in(truth, log, quality, user, at, k, barred, bucket)
    own = None if barred is None else [barred[i] for i in requests.tolist()]
    moments = at[requests] + truth.seconds(log.meta.origin_at)
    return requests, informed, oracle_lists(truth, user[requests], moments, k, own)


def hits_of_lists(truth: Truth, log: Log, replayed: ReplayResult, posts: np.ndarray) -> np.ndarray:
    """Probability that a list holds a like, shape (n_requests,), of lists (n_requests, k).

    An empty place, -1, is liked by nobody.
    """
    k = posts.shape[1]
    at = replayed.at + truth.seconds(log.meta.origin_at)
    user, at = np.repeat(replayed.user, k), np.repeat(at, k)
    chance = truth.probability(user, posts.ravel(), at).reshape(-1, k)
    return expected_hit_at_k(np.where(posts >= 0, chance, 0.0))
