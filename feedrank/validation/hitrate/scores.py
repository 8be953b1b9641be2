"""Three hit rates of every method, request by request, with intervals and differences.

Over requests r, with L(r) the k posts that a method ranks highest and S(r) those that the feed
showed in the step of the request:

    shown      mean of [any post of the k best of S(r) was liked], over requests with |S(r)| > k
    catalogue  mean of [any post of L(r) was shown and liked], over all requests
    expected   mean of 1 - E prod over L(r) of (1 - p), over all requests

`shown` is success at k among the posts that a logged random feed happened to show; likewise the
replay method of Li et al. (*Unbiased offline evaluation of contextual-bandit-based news article
recommendation algorithms*, 2011) keeps the logged events that agree with a policy. `catalogue` is
success at k against the log: a post that was not shown counts as not liked, so it is a lower bound.
`expected` is the off-policy hit rate by the direct method; see
`feedrank.validation.hitrate.expected`. A request without a value has NaN and is left out of the
mean; without any value the hit rate is NaN, and null in JSON.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from feedrank.params import ValidateParams
from feedrank.stats.intervals import Estimate, UserWeights, estimate, proportion, user_weights
from feedrank.validation.hitrate.calibration import Calibration, Shown, calibrate
from feedrank.validation.hitrate.doubt import post_covariance, shared_normals
from feedrank.validation.hitrate.expected import Expected, expected_hitrate
from feedrank.validation.hitrate.hit_model import Lists
from feedrank.validation.replay.matches import NO_MATCHES, Matches
from feedrank.validation.replay.replay import ReplayResult

KINDS = ("expected", "shown", "catalogue")


@dataclass(frozen=True)
class Hits:
    """One method's hit rates at one length of list.

    Attributes:
        by_request: of each of `KINDS`, values whose mean is the hit rate, NaN where a request has
            none, shape (n_requests,).
        expected: off-policy hit rate.
        shown: replay hit rate.
        catalogue: hit rate of the whole catalogue against the log.
        detail: of the estimate of `expected`.
        doubt: by how much `expected` is moved in each resample by what no request tells, shape
            (n_resamples,).
    """

    by_request: dict[str, np.ndarray]
    expected: Estimate
    shown: Estimate
    catalogue: Estimate
    detail: Expected
    doubt: np.ndarray

    def without_intervals(self, kinds: Collection[str]) -> Hits:
        """The same without the intervals of these kinds."""
        return replace(self, **{kind: getattr(self, kind).without_interval() for kind in kinds})


@dataclass(frozen=True)
class Scores:
    """Every method's hit rates on the same requests and resamples.

    Attributes:
        k: length of list.
        methods: by name, ours first.
        calibration: shared by all methods.
        weights: resamples of users.
        unjudged: kinds of hit rate that judge nothing here, and have no interval.
    """

    k: int
    methods: dict[str, Hits]
    calibration: Calibration
    weights: UserWeights
    unjudged: Collection[str] = ()

    def lead(self, ours: str, other: str, kind: str = "expected") -> Estimate:
        """Lift: one method's hit rate less another's, with the paired interval.

        Without an interval where too few requests have a value by both for a decision.
        """
        first, second = self.methods[ours], self.methods[other]
        doubt = first.doubt - second.doubt if kind == "expected" else None
        difference = first.by_request[kind] - second.by_request[kind]
        found = estimate(difference, self.weights, doubt).if_decisive()
        return found.without_interval() if kind in self.unjudged else found

    def without_intervals(self, kinds: Collection[str]) -> Scores:
        """The same where hit rates of these kinds judge nothing."""
        methods = {name: hits.without_intervals(kinds) for name, hits in self.methods.items()}
        return replace(self, methods=methods, unjudged=kinds)


def score(
    replayed: ReplayResult,
    names: tuple[str, ...],
    k: int,
    params: ValidateParams,
    only: Collection[str] | None = None,
    others: Matches = NO_MATCHES,
    normal: np.ndarray | None = None,
) -> Scores:
    """The three hit rates of all methods, or only of some, at one length of list.

    Args:
        replayed: requests.
        names: of the methods, in the order of `replayed`.
        k: length of list.
        params: of the bootstrap.
        only: methods that are scored. None: all.
        others: matches of requests that were not replayed.
        normal: `shared_normals` of the methods and of others beside them. None: of the methods.
    """
    weights = user_weights(replayed.user, params.bootstrap, params.seed)
    shown = Shown(
        replayed.shown_probability,
        replayed.shown_liked,
        replayed.shown_request,
        replayed.shown_propensity,
        replayed.shown_presence,
        len(replayed.user),
    )
    calibration = calibrate(shown)
    top, spread = replayed.top[:, :, :k], replayed.top_spread[:, :, :k]
    variance = post_covariance(top, spread).diagonal()
    if normal is None:
        normal = shared_normals(top, spread, params)

    def hits(m: int) -> Hits:
        lists = Lists(
            replayed.top_probability[m, :, :k],
            replayed.shown_rank[m],
            replayed.top_supported[m, :, :k],
            replayed.top_presence[m, :, :k],
            float(variance[m]),
            others[others.method == m],
        )
        detail = expected_hitrate(shown, calibration, lists)
        doubt = detail.doubts(normal[m])
        shown_hit, catalogue_hit = (
            hit[m, :, k - 1] for hit in (replayed.hit_shown, replayed.hit_catalogue)
        )
        return Hits(
            dict(zip(KINDS, (detail.pseudo, shown_hit, catalogue_hit), strict=True)),
            expected=estimate(detail.pseudo, weights, doubt).within(0, 1),
            shown=_rate(shown_hit, replayed.user, weights),
            catalogue=_rate(catalogue_hit, replayed.user, weights),
            detail=detail,
            doubt=doubt,
        )

    methods = {n: hits(m) for m, n in enumerate(names) if only is None or n in only}
    return Scores(k, methods, calibration, weights)


def _rate(hit: np.ndarray, user: np.ndarray, weights: UserWeights) -> Estimate:
    """Mean of hits; Wilson's interval where all or none are hits, and resamples do not vary."""
    given = hit[~np.isnan(hit)]
    is_one_kind = len(given) > 0 and given.min() == given.max()
    return proportion(hit, user) if is_one_kind else estimate(hit, weights)
