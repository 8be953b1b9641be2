"""The three hit rates of every method, request by request, with intervals and differences."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from feedrank.params import ValidateParams
from feedrank.validation.calibration import Calibration, Shown, calibrate
from feedrank.validation.expected import Expected, Lists, expected_hitrate
from feedrank.validation.metrics import Estimate, estimate, user_weights
from feedrank.validation.replay import Judged

KINDS = ("expected", "shown", "catalogue")


@dataclass(frozen=True)
class Hits:
    """One method's hit rates at one length of list.

    Attributes:
        by_request: of each of `KINDS`, values whose mean is the hit rate, NaN where a request was
            not judged, shape (n_requests,).
        expected: had the lists been shown.
        shown: of the posts shown.
        catalogue: of all posts, as far as the log knows.
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
    judged: Judged,
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
        judged.shown_group,
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
    judged: Judged,
    method: int,
    k: int,
    shown: Shown,
    calibration: Calibration,
    weights: np.ndarray,
) -> Hits:
    lists = Lists(
        judged.probability[method, :, :k], judged.top_group[method, :, :k], judged.rank[method]
    )
    detail = expected_hitrate(shown, calibration, lists)
    by_request = {
        "expected": detail.pseudo,
        "shown": judged.hit_shown[method, :, k - 1],
        "catalogue": judged.hit_catalogue[method, :, k - 1],
    }
    estimates = {
        kind: estimate(values, weights).within(0, 1) for kind, values in by_request.items()
    }
    return Hits(by_request, **estimates, detail=detail)
