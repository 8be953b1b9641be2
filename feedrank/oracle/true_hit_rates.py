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

    The limits choose from all posts but the barred, also from those that the feed never showed.
    """
    replayed = joined(results)
    lists = dict(zip(results[0].names, replayed.top[:, :, :k], strict=True))
    quality = PostQuality.before(truth, log, replayed.at)
    limits = partial(_limits, truth, log, quality, replayed.user, replayed.at, k, barred)
    lists |= {name: np.full((len(replayed.user), k), -1) for name in ("informed", "oracle")}
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
