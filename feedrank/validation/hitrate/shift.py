"""Shift: correction of a method's log-odds on the impressions that match its lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from feedrank.stats.logistic import fit_logistic
from feedrank.validation.hitrate.calibration import Calibration, Shown, Standard
from feedrank.validation.hitrate.hit_model import SHIFT_SPREAD, Lists

# Chosen on simulated networks of ten kinds: docs/validation-results.md, "Tried and not taken".
SELECTION_BIAS = 0.1  # share of a list's lead in log-odds over the impressions that is bias
MOST_BIAS = 0.05  # of it, in logits
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
        spread: standard deviation that is left in it beside the sampling of the requests.
        n_listed: impressions that are in the lists themselves.
        n_matching: impressions that match: in the lists or near them.
        n_effective: of them, by their weights: (sum of w)^2 / sum of w^2 (Kish, 1965).
    """

    value: float
    influence: np.ndarray
    spread: float
    n_listed: int
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


@dataclass(frozen=True)
class Matching:
    """Impressions that match a method's lists: of the requests first, then of others.

    Attributes:
        place: in the list, from 0, shape (n,).
        propensity: of the post, as in `Requests`, shape (n,).
        liked: 1 or 0, float64, shape (n,).
        design: of the calibration, shape (n, 6).
        request: row of the request of the first ones, shape (n_first,).
        user: of the others, shape (n - n_first,).
    """

    place: np.ndarray
    propensity: np.ndarray
    liked: np.ndarray
    design: np.ndarray
    request: np.ndarray
    user: np.ndarray

    @classmethod
    def of(cls, shown: Shown, standard: Standard, lists: Lists) -> Matching:
        """Those of the requests whose lists are known, and those that were found in others."""
        rows, others = np.flatnonzero(lists.rank >= 0), lists.others
        mean = standard.of_request[shown.request[rows]]
        return cls(
            np.append(lists.rank[rows], others.place),
            np.append(shown.propensity[rows], others.propensity),
            np.append(shown.liked[rows], others.liked).astype(np.float64),
            standard.design(
                np.append(shown.probability[rows], others.probability),
                np.append(mean, others.of_request),
                np.append(shown.presence[rows], others.presence),
            ),
            shown.request[rows],
            others.user,
        )


def shift_of(shown: Shown, calibration: Calibration, lists: Lists, lead: float) -> Shift:
    """The posterior mode of a method's shift, and the influence of each request on it.

    What the matches of other requests leave unknown is part of `spread`: none of the requests that
    are resampled tells it.

    Args:
        shown: impressions of the requests.
        calibration: fitted on them.
        lists: of the method.
        lead: of the listed posts with support, in calibrated log-odds over the impressions.
    """
    matching = Matching.of(shown, calibration.standard, lists)
    k, first = lists.probability.shape[1], len(matching.request)
    weight = matching_weight(matching.place, matching.propensity, k)
    base = matching.design @ calibration.weights
    prior = -float(np.clip(SELECTION_BIAS * lead, 0.0, MOST_BIAS))
    next_weight = (matching.place >= k) / np.maximum(matching.propensity, 1 / HIGHEST_WEIGHT)
    spread = float(np.sqrt(SHIFT_SPREAD**2 + lists.post_variance))
    spread = max(spread, NEXT_FACTOR * _surely_off(base, matching.liked, next_weight))
    value, precision = _posterior_mode(base, matching.liked, weight, prior, spread)
    p = expit(base + value)
    v, score = weight * p * (1 - p), weight * (matching.liked - p)
    curvature = v.sum() + precision
    influence = np.bincount(matching.request, score[:first], shown.n_requests) / curvature
    influence -= influence.mean()
    # The shift falls where weights of the calibration rise.
    influence -= calibration.influence @ (v @ matching.design) / curvature
    n_effective = float(weight.sum() ** 2 / max(np.sum(weight**2), 1e-12))
    # Sampling of the requests has v / curvature^2 of the posterior variance 1 / curvature; the
    # prior has the rest, and other requests, by user, their share of v.
    _, of_user = np.unique(matching.user, return_inverse=True)
    of_others = np.sum(np.bincount(of_user, score[first:]) ** 2)
    n_listed = int(np.sum(matching.place < k))
    left = float(np.sqrt(precision + of_others) / curvature)
    return Shift(value, influence, left, n_listed, len(weight), n_effective)


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
