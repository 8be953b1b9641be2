"""Calibration: our log-odds turned into probabilities of a like, on test impressions.

A logistic regression of six weights, fitted on all impressions shown in the requests, none of
which the ranker was trained on: intercept and slope (Platt scaling; Cox, *Two further applications
of a model for binary regression*, 1958); two for what a list chooses by, the deviation of a post's
log-odds from the mean of its request: a slope of its own, since users and days may be known better
than posts, or worse, and a bend, since what stands out is error more often than the rest; and two
for posts that the feed hardly shows any more near the request, of which the ranker has learned
least: how much less they are shown than the post of an average impression, and the same times the
deviation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from feedrank.stats.logistic import fit_logistic, log_odds_of
from feedrank.validation.hitrate.dependence import Dependence

# Standard deviation of the slope's prior, centred at 1; the intercept's is flat (1,000 logits).
# 30,000 impressions at a like rate of .1 and scores of spread .5 give a slope a standard error of
# .04, and the prior takes less than 1 % of its distance from 1.
SLOPE_SPREAD, FLAT_PRECISION = 0.5, 1e-6
# Standard deviations above the mean of a request at which the slope bends; 7 % of a normal
# distribution lie above, and 1 to 1.65 correct alike.
BEND_AT = 1.5
# Standard deviation of the priors of both weights of a deviation, centred at 0, in logits for each
# standard deviation: .05 and .1 give the same errors on eight kinds of network, 0 more on `films`.
DEVIATION_SPREAD = 0.05
# Standard deviation of the priors of both weights of rare posts, centred at 0, in logits for each
# fall of impressions by e: a weight of 1 is a post whose likes fall as its impressions do. .25 to 1
# give the same errors on `news`, `video`, `films` and `course`.
RARE_SPREAD = 0.5
LEAST_SPREAD = 0.01  # logits: scores of one request that differ less do not tell posts apart


@dataclass(frozen=True)
class Shown:
    """Impressions of the requests, in any order.

    Attributes:
        probability: our own of each, shape (n_shown,).
        liked: bool, shape (n_shown,).
        request: row of the request, shape (n_shown,).
        propensity: of the post, as in `Requests`, shape (n_shown,).
        presence: of the post near the request, see `replay.support.presence`, shape (n_shown,).
        n_requests: requests, those without impressions included.
    """

    probability: np.ndarray
    liked: np.ndarray
    request: np.ndarray
    propensity: np.ndarray
    presence: np.ndarray
    n_requests: int


@dataclass(frozen=True)
class Standard:
    """What our log-odds are measured by.

    Attributes:
        center: mean over the impressions shown.
        of_request: mean over those of each request; `center` of one without, shape (n_requests,).
        spread: standard deviation from the mean of the request.
        presence: mean over the impressions shown.
    """

    center: float
    of_request: np.ndarray
    spread: float
    presence: float

    @classmethod
    def of(cls, shown: Shown) -> Standard:
        """From the impressions shown."""
        score = log_odds_of(shown.probability)
        center = float(score.mean()) if len(score) else 0.0
        n = np.bincount(shown.request, minlength=shown.n_requests)
        mean = np.bincount(shown.request, score - center, shown.n_requests) / np.maximum(n, 1)
        spread = float((score - center - mean[shown.request]).std()) if len(score) else 0.0
        presence = float(shown.presence.mean()) if len(score) else 0.0
        return cls(center, center + mean, max(spread, LEAST_SPREAD), presence)

    def deviation(self, probability: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Standard deviations by which our log-odds exceed the mean of their request."""
        return (log_odds_of(probability) - mean) / self.spread

    def design(self, probability: np.ndarray, mean: np.ndarray, presence: np.ndarray) -> np.ndarray:
        """What the weights of the calibration multiply, shape (..., 6).

        Args:
            probability: our own.
            mean: of our log-odds over the impressions of the same request.
            presence: of the post near the request.
        """
        score, x = log_odds_of(probability) - self.center, self.deviation(probability, mean)
        rare = np.minimum(presence - self.presence, 0.0)
        bend = np.maximum(x - BEND_AT, 0.0)
        return np.stack([np.ones_like(score), score, x, bend, rare, rare * x], axis=-1)


@dataclass(frozen=True)
class Calibration:
    """Calibrated log-odds: `design` of our probabilities times `weights`.

    Attributes:
        weights: intercept, slope of our log-odds, slope and bend of their deviations, and two of
            rare posts, shape (6,).
        standard: of our log-odds.
        mean: of the calibrated log-odds of the impressions shown.
        n_shown: impressions it was fitted on.
        influence: of each request on the weights (Hampel, 1974): the inverse curvature times the
            request's score, sum 0 over requests, shape (n_requests, 6).
        dependence: of the likes of one request.
    """

    weights: np.ndarray
    standard: Standard
    mean: float
    n_shown: int
    influence: np.ndarray
    dependence: Dependence

    @property
    def slope(self) -> float:
        """Of our log-odds."""
        return float(self.weights[1])


def calibrate(shown: Shown) -> Calibration:
    """Weights and dependence from all impressions of the requests."""
    standard = Standard.of(shown)
    mean = standard.of_request[shown.request]
    design = standard.design(shown.probability, mean, shown.presence)
    liked = shown.liked.astype(np.float64)
    prior_mean = np.array([standard.center, 1.0, 0.0, 0.0, 0.0, 0.0])
    spreads = (SLOPE_SPREAD, DEVIATION_SPREAD, DEVIATION_SPREAD, RARE_SPREAD, RARE_SPREAD)
    precision = np.array([FLAT_PRECISION, *(spread**-2 for spread in spreads)])
    fit = fit_logistic(design, liked, prior_mean, precision)
    log_odds = design @ fit.weights
    p = expit(log_odds)
    by_request = [np.bincount(shown.request, c * (liked - p), shown.n_requests) for c in design.T]
    influence = np.stack(by_request, axis=1) @ np.linalg.inv(fit.curvature)
    deviation = standard.deviation(shown.probability, mean)
    return Calibration(
        fit.weights,
        standard,
        float(log_odds.mean()) if len(log_odds) else 0.0,
        len(log_odds),
        influence - influence.mean(axis=0) if len(influence) else influence,
        Dependence.of(shown.request, deviation, liked - p, p * (1 - p), shown.n_requests),
    )
