"""`hitrate@k/expected`: had the lists been shown, how often would one of their posts be liked?

The log holds what the feed showed, not what we would have shown, so the chance p of a like of a
listed post is estimated, from likes that no model has seen:

    score   = log-odds of our ranker's probability, fitted before the fold's cutoff
    log-odds of p = intercept + slope * score + shift(method)
    intercept, slope   by logistic regression on all impressions shown in the requests: the best
                       of thousands are best partly by luck, and the slope takes the luck off
    shift(method)      by logistic regression on the method's *matching* impressions, those that
                       happen to stand high in its own list, each weighted by how well it matches
                       and by one over its propensity, the exposure of the post in the segment;
                       drawn to a tenth of the list's advance below 0, since what stands high in a
                       list has luck on its side
    expected           mean over requests of 1 - E prod over the list (1 - p)

The expectation is over what the likes of one request share (a mood, a taste not yet known): a
normal shift of all five log-odds, whose variance is estimated from pairs of impressions of the
same request, as many of them of the same cluster of posts as in the lists. Five posts that are
liked together or not at all make fewer hits than five independent ones.

Every request gets a *pseudo-value*: its own hit probability, plus what its impressions
contributed to the fitted numbers. Their mean is the estimate, and their scatter over users holds
all of its uncertainty, so that any mean or paired difference gets its interval from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from feedrank.stats.logistic import fit_logistic
from feedrank.validation.hitrate.calibration import Calibration, Shown, score_of
from feedrank.validation.hitrate.dependence import share_of_same

# Chosen on simulated networks: docs/validation.md.
LUCK = (
    0.1  # share of a list's advance over what is shown that is luck, unless matches say otherwise
)
SHIFT_SPREAD = 0.15  # a shift further from that, in logits, needs evidence
WIDE_SPREAD = 1.0  # where there is evidence
HIGHEST_WEIGHT = 10.0  # of one over the propensity
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
SMALL = 1e-4  # a difference quotient's step


@dataclass(frozen=True)
class Lists:
    """The lists of one method, by request.

    Attributes:
        probability: our own of the posts of each list, 0 where a list is too short, shape
            (n_requests, k).
        cluster: of these posts, -1 where a list is too short, same shape.
        rank: place of each shown post in the method's longer list, -1 if beyond, shape (n_shown,).
    """

    probability: np.ndarray
    cluster: np.ndarray
    rank: np.ndarray


@dataclass(frozen=True)
class Expected:
    """The estimate of one method.

    Attributes:
        value: mean over requests; NaN for no requests.
        pseudo: pseudo-values whose mean is `value`, shape (n_requests,).
        shift: by which log-odds are corrected on the method's matching impressions.
        variance: that the log-odds of one list share.
        n_matching: impressions that match.
        n_effective: of them, by their weights: (sum of w)^2 / sum of w^2.
    """

    value: float
    pseudo: np.ndarray
    shift: float
    variance: float
    n_matching: int
    n_effective: float


def expected_hitrate(shown: Shown, calibration: Calibration, lists: Lists) -> Expected:
    """The estimate of one method; `calibration` was fitted on the impressions shown."""
    if not shown.n_requests:
        return Expected(float("nan"), np.zeros(0), 0.0, 0.0, 0, 0.0)
    listed = lists.probability > 0
    of_list = np.where(listed, score_of(lists.probability) - calibration.center, 0.0)
    advance = _advance(calibration, lists.probability[listed])
    matching = np.flatnonzero(lists.rank >= 0)
    weight = matching_weight(lists.rank[matching], shown.exposure[matching], listed.shape[1])
    score = score_of(shown.probability[matching])
    liked = shown.liked[matching].astype(np.float64)
    base = calibration.log_odds(shown.probability[matching])
    shift, precision = _shift(base, liked, weight, -LUCK * advance)
    p = expit(base + shift)
    v = weight * p * (1 - p)
    bend = v.sum() + precision
    of = shown.request[matching]
    moved = np.bincount(of, weight * (liked - p), shown.n_requests) / bend
    # What is drawn to a prior scatters less than it errs: by the share of the data in what is
    # known. Stretched by its root, the scatter is that of the posterior.
    moved = (moved - moved.mean()) / np.sqrt(max(v.sum() / bend, 1e-12))
    # The shift gives way where intercept or slope move.
    gives = np.array([v.sum(), np.sum(v * (score - calibration.center))]) / bend
    moved = moved - calibration.influence @ gives
    variance, by_pairs = calibration.dependence.variance(share_of_same(lists.cluster))
    influence = np.column_stack([calibration.influence, by_pairs, moved])

    def hit(at: np.ndarray) -> np.ndarray:
        intercept, slope, shared, own = at
        return hit_probability(np.where(listed, intercept + own + slope * of_list, -np.inf),
                               shared)  # fmt: skip

    at = np.array([calibration.intercept, calibration.slope, variance, shift])
    own = hit(at)
    pseudo = own + len(own) * influence @ _gradient(lambda x: float(hit(x).mean()), at)
    n_effective = float(weight.sum() ** 2 / max(np.sum(weight**2), 1e-12))
    return Expected(float(own.mean()), pseudo, shift, variance, len(matching), n_effective)


def matching_weight(rank: np.ndarray, exposure: np.ndarray, k: int) -> np.ndarray:
    """How much an impression says of a list: its place, over its propensity.

    1 within the list, falling as the square of k over the place beyond it; then over the relative
    exposure, so that the posts of a list count alike however often the feed shows them.
    """
    place = np.minimum(1.0, k / np.maximum(rank + 1.0, 1.0)) ** 2
    return place / np.maximum(exposure, 1 / HIGHEST_WEIGHT)


def hit_probability(log_odds: np.ndarray, variance: float) -> np.ndarray:
    """Chance of at least one like of each list: 1 - E prod(1 - p), shape (n_requests,).

    The expectation is over a shared normal shift of the log-odds; they are stretched so that each
    p keeps its mean (MacKay's approximation).

    Args:
        log_odds: of the mean p, -inf for a place that is empty, shape (n_requests, k).
        variance: of the shared shift.
    """
    stretched = log_odds * np.sqrt(1 + np.pi * max(variance, 0.0) / 8)
    total = NODE_WEIGHTS.sum()
    missed = np.zeros(len(log_odds))
    for node, weight in zip(NODES, NODE_WEIGHTS, strict=True):
        moved = stretched + node * np.sqrt(max(variance, 0.0))
        missed += weight / total * np.prod(expit(-moved), axis=1)
    return 1.0 - missed


def _advance(calibration: Calibration, listed: np.ndarray) -> float:
    """By how much, in log-odds, what is listed stands above what is shown; 0 if below."""
    if not len(listed):
        return 0.0
    return max(float(calibration.log_odds(listed).mean()) - calibration.mean, 0.0)


def _shift(
    base: np.ndarray, liked: np.ndarray, weight: np.ndarray, usual: float
) -> tuple[float, float]:
    """The shift of a method's log-odds, and the precision of the prior that drew it to `usual`.

    The prior is as narrow as most are unless the matches themselves say that the shift is larger.
    """
    design = np.ones((len(base), 1))

    def fit(precision: float) -> tuple[float, float]:
        found = fit_logistic(design, liked, np.array([usual]), np.array([precision]), base, weight)
        return float(found.weights[0]), float(found.curvature[0, 0])

    free, bend = fit(WIDE_SPREAD**-2)
    p = expit(base + free)
    error = np.sqrt(np.sum(weight**2 * p * (1 - p))) / bend
    precision = max(SHIFT_SPREAD, abs(free - usual) - 2 * error) ** -2
    return fit(precision)[0], precision


def _gradient(function: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    steps = SMALL * np.eye(len(at))
    # A variance cannot fall below 0: there the quotient is one-sided.
    low = np.array([at - s if i != 2 or at[2] > SMALL else at for i, s in enumerate(steps)])
    high = at + steps
    width = np.array([np.sum(h - lo) for h, lo in zip(high, low, strict=True)])
    return np.array([function(h) - function(lo) for h, lo in zip(high, low, strict=True)]) / width
