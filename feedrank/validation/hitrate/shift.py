"""Shift: correction of a method's log-odds on the impressions that match its lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from feedrank.stats.logistic import fit_logistic
from feedrank.validation.hitrate.calibration import Calibration, Shown
from feedrank.validation.hitrate.hit_model import SHIFT_SPREAD, Lists

# Chosen on simulated networks of ten kinds: docs/validation.md, "Coverage".
SELECTION_BIAS = 0.06  # share of a list's lead in log-odds over the impressions that is bias
MOST_BIAS = 0.03  # of it, in logits
NEXT_FACTOR = 2.0  # by how much more listed posts may be off than the next ones of their lists
# The matches alone estimate the shift under this prior, to see whether the narrow one must widen.
WIDE_SPREAD = 1.0
# Inverse propensities are clipped (Ionides, *Truncated importance sampling*, 2008): a match counts
# as ten average ones at most.
HIGHEST_WEIGHT = 10.0


@dataclass(frozen=True)
class Shift:
    """Correction of a method's log-odds on its matching impressions.

    Attributes:
        value: in logits.
        influence: of each request on it, shape (n_requests,).
        spread: standard deviation that the prior leaves in it, beside the requests' sampling.
        n_matching: impressions that match.
        n_effective: of them, by their weights: (sum of w)^2 / sum of w^2 (Kish, 1965).
    """

    value: float
    influence: np.ndarray
    spread: float
    n_matching: int
    n_effective: float


def matching_weight(rank: np.ndarray, propensity: np.ndarray, k: int) -> np.ndarray:
    """Weight of a matching impression: its place in the list over its propensity, shape (n,).

    1 within the list, falling as the square of k over the place beyond it; then over the relative
    propensity, so that the posts of a list count alike however often they are shown.

    Args:
        rank: place in the method's longer list, from 0, shape (n,).
        propensity: of the post, as in `Requests`, shape (n,).
        k: length of the list.
    """
    place = np.minimum(1.0, k / np.maximum(rank + 1.0, 1.0)) ** 2
    return place / np.maximum(propensity, 1 / HIGHEST_WEIGHT)


def shift_of(shown: Shown, calibration: Calibration, lists: Lists, lead: float) -> Shift:
    """The posterior mode of a method's shift, and the influence of each request on it.

    Args:
        shown: impressions of the requests.
        calibration: fitted on them.
        lists: of the method.
        lead: of the listed posts with support, in calibrated log-odds over the impressions.
    """
    matching = np.flatnonzero(lists.rank >= 0)
    k = lists.probability.shape[1]
    weight = matching_weight(lists.rank[matching], shown.propensity[matching], k)
    liked = shown.liked[matching].astype(np.float64)
    design = calibration.standard.design(shown.probability[matching], shown.request[matching])
    base = design @ calibration.weights
    prior = -float(np.clip(SELECTION_BIAS * lead, 0.0, MOST_BIAS))
    is_next = lists.rank[matching] >= k
    next_weight = is_next / np.maximum(shown.propensity[matching], 1 / HIGHEST_WEIGHT)
    spread = max(SHIFT_SPREAD, NEXT_FACTOR * _surely_off(base, liked, next_weight))
    value, precision = _posterior_mode(base, liked, weight, prior, spread)
    p = expit(base + value)
    v = weight * p * (1 - p)
    curvature = v.sum() + precision
    influence = np.bincount(shown.request[matching], weight * (liked - p), shown.n_requests)
    influence = influence / curvature
    influence -= influence.mean()
    # The shift falls where weights of the calibration rise.
    influence -= calibration.influence @ (v @ design) / curvature
    n_effective = float(weight.sum() ** 2 / max(np.sum(weight**2), 1e-12))
    # Sampling has v / curvature^2 of the posterior variance 1 / curvature; the prior has the rest.
    spread = np.sqrt(precision) / curvature
    return Shift(value, influence, float(spread), len(matching), n_effective)


def _posterior_mode(
    base: np.ndarray, liked: np.ndarray, weight: np.ndarray, prior_mean: float, spread: float
) -> tuple[float, float]:
    """The shift of log-odds `base`, and the precision of its prior.

    The prior's spread is the one given, or the distance by which the matches alone exceed two
    standard errors, if that is more.
    """
    free, error = _free_shift(base, liked, weight, prior_mean)
    precision = max(spread, abs(free - prior_mean) - 2 * error) ** -2
    return _shift(base, liked, weight, prior_mean, precision)[0], precision


def _surely_off(base: np.ndarray, liked: np.ndarray, weight: np.ndarray) -> float:
    """The shift of impressions less one standard error, at least 0."""
    shift, error = _free_shift(base, liked, weight, 0.0)
    return max(abs(shift) - error, 0.0)


def _free_shift(
    base: np.ndarray, liked: np.ndarray, weight: np.ndarray, prior_mean: float
) -> tuple[float, float]:
    """The shift that impressions alone tell, and its standard error."""
    shift, curvature = _shift(base, liked, weight, prior_mean, WIDE_SPREAD**-2)
    p = expit(base + shift)
    return shift, float(np.sqrt(np.sum(weight**2 * p * (1 - p)))) / curvature


def _shift(
    base: np.ndarray, liked: np.ndarray, weight: np.ndarray, prior_mean: float, precision: float
) -> tuple[float, float]:
    """Posterior mode of the shift of log-odds `base`, and the posterior's curvature there."""
    means, precisions = np.array([prior_mean]), np.array([precision])
    found = fit_logistic(np.ones((len(base), 1)), liked, means, precisions, base, weight)
    return float(found.weights[0]), float(found.curvature[0, 0])
