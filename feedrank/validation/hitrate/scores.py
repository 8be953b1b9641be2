"""The three hit rates of every method, request by request, with intervals and differences.

Over requests r, with L(r) the k posts that a method likes best and S(r) those that the feed showed
in the step of the request:

    shown      mean of [any post of the k best of S(r) was liked], over requests with |S(r)| > k
    catalogue  mean of [any post of L(r) was shown and liked], over all requests
    expected   mean of 1 - E prod over L(r) of (1 - p), over all requests

`shown` is success at k among what a logged random feed happened to show, as the replay of Li et
al. (2011) keeps the logged events that a policy agrees with. `catalogue` is success at k against
the log: a post that was not shown counts as not liked, so it is a lower bound. `expected` is the
direct method of off-policy evaluation, p calibrated on matching impressions; see
`feedrank.validation.hitrate.expected`. A request that is not judged has NaN and is left out of the
mean; where none is judged the hit rate is NaN, and null in JSON.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from feedrank.params import ValidateParams
from feedrank.stats.intervals import Estimate, estimate, proportion, user_weights
from feedrank.validation.hitrate.calibration import Calibration, Shown, calibrate
from feedrank.validation.hitrate.expected import Expected, Lists, expected_hitrate
from feedrank.validation.replay.replay import ReplayResult

KINDS = ("expected", "shown", "catalogue")


@dataclass(frozen=True)
class Hits:
    """One method's hit rates at one length of list.

    Attributes:
        by_request: of each of `KINDS`, values whose mean is the hit rate, NaN where a request was
            not judged, shape (n_requests,).
        expected: had the lists been shown; its interval is a bootstrap over users.
        shown: of the posts shown; its interval is that of a proportion.
        catalogue: of all posts, as far as the log knows; likewise.
        detail: how `expected` was found.
    """

    by_request: dict[str, np.ndarray]
    expected: Estimate
    shown: Estimate
    catalogue: Estimate
    detail: Expected


@dataclass(frozen=True)
class Scores:
    """Every method's hit rates on the same requests and resamples.

    Attributes:
        k: length of list.
        methods: by name, ours first.
        calibration: that all of them share.
        weights: resamples of users, shape (n_resamples, n_requests).
    """

    k: int
    methods: dict[str, Hits]
    calibration: Calibration
    weights: np.ndarray

    def lead(self, ours: str, other: str, kind: str = "expected") -> Estimate:
        """By how much one method's hit rate exceeds another's, with the paired interval."""
        first, second = (self.methods[name].by_request[kind] for name in (ours, other))
        return estimate(first - second, self.weights)


def score(
    judged: ReplayResult,
    names: tuple[str, ...],
    k: int,
    params: ValidateParams,
    only: Collection[str] | None = None,
) -> Scores:
    """The three hit rates of all methods, or only of some, at one length of list."""
    weights = user_weights(judged.user, params.bootstrap, params.seed)
    shown = Shown(
        judged.shown_probability,
        judged.shown_liked,
        judged.shown_request,
        judged.shown_exposure,
        judged.shown_cluster,
        len(judged.user),
    )
    calibration = calibrate(shown)
    methods = {
        name: _hits(judged, m, k, shown, calibration, weights)
        for m, name in enumerate(names)
        if only is None or name in only
    }
    return Scores(k, methods, calibration, weights)


def _hits(
    judged: ReplayResult,
    method: int,
    k: int,
    shown: Shown,
    calibration: Calibration,
    weights: np.ndarray,
) -> Hits:
    lists = Lists(
        judged.probability[method, :, :k], judged.top_cluster[method, :, :k], judged.rank[method]
    )
    detail = expected_hitrate(shown, calibration, lists)
    by_request = {
        "expected": detail.pseudo,
        "shown": judged.hit_shown[method, :, k - 1],
        "catalogue": judged.hit_catalogue[method, :, k - 1],
    }
    return Hits(
        by_request,
        expected=estimate(detail.pseudo, weights).within(0, 1),
        shown=_rate(by_request["shown"], judged.user, weights),
        catalogue=_rate(by_request["catalogue"], judged.user, weights),
        detail=detail,
    )


def _rate(hit: np.ndarray, user: np.ndarray, weights: np.ndarray) -> Estimate:
    """A mean of hits; resamples do not scatter where all or none are hits, but more requests do."""
    found = estimate(hit, weights)
    return found if found.low < found.high else proportion(hit, user)
