"""Calibration: our log-odds turned into probabilities of a like, on test impressions.

A logistic regression of two weights, intercept and slope (Platt scaling; Cox, *Two further
applications of a model for binary regression*, 1958), fitted on all impressions shown in the
requests, none of which the ranker was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from feedrank.stats.logistic import fit_logistic
from feedrank.validation.hitrate.dependence import Dependence

# Standard deviation of the slope's prior, centred at 1; the intercept's is flat (1,000 logits).
# 30,000 impressions at a like rate of .1 and scores of spread .5 give a slope a standard error of
# .04, and the prior takes less than 1 % of its distance from 1.
SLOPE_SPREAD, FLAT_PRECISION = 0.5, 1e-6


@dataclass(frozen=True)
class Shown:
    """Impressions of the requests, in any order.

    Attributes:
        probability: our own of each, shape (n_shown,).
        liked: bool, shape (n_shown,).
        request: row of the request, shape (n_shown,).
        propensity: of the post in the stratum, 1 for an average post, shape (n_shown,).
        cluster: of the post, by the refit at the cutoff, shape (n_shown,).
        n_requests: requests, those without impressions included.
    """

    probability: np.ndarray
    liked: np.ndarray
    request: np.ndarray
    propensity: np.ndarray
    cluster: np.ndarray
    n_requests: int


@dataclass(frozen=True)
class Calibration:
    """Calibrated log-odds = intercept + slope * (our log-odds - center).

    Attributes:
        intercept: of the log-odds.
        slope: of our log-odds, counted from `center`.
        center: mean of our log-odds over the impressions shown.
        mean: of the calibrated log-odds of the impressions shown.
        n_shown: impressions it was fitted on.
        influence: of each request on intercept and slope (Hampel, 1974): the inverse curvature
            times the request's score, sum 0 over requests, shape (n_requests, 2).
        dependence: of the likes of one request.
    """

    intercept: float
    slope: float
    center: float
    mean: float
    n_shown: int
    influence: np.ndarray
    dependence: Dependence

    def log_odds(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of our probabilities, same shape."""
        return self.intercept + self.slope * (log_odds_of(probability) - self.center)


def calibrate(shown: Shown) -> Calibration:
    """Intercept, slope and dependence from all impressions of the requests."""
    score = log_odds_of(shown.probability)
    center = float(score.mean()) if len(score) else 0.0
    design = np.stack([np.ones_like(score), score - center], axis=1)
    liked = shown.liked.astype(np.float64)
    prior_mean = np.array([center, 1.0])
    fit = fit_logistic(design, liked, prior_mean, np.array([FLAT_PRECISION, SLOPE_SPREAD**-2]))
    log_odds = design @ fit.weights
    p = expit(log_odds)
    by_request = [np.bincount(shown.request, c * (liked - p), shown.n_requests) for c in design.T]
    influence = np.stack(by_request, axis=1) @ np.linalg.inv(fit.curvature)
    return Calibration(
        float(fit.weights[0]),
        float(fit.weights[1]),
        center,
        float(log_odds.mean()) if len(score) else 0.0,
        len(score),
        influence - influence.mean(axis=0) if len(influence) else influence,
        Dependence.of(shown.request, shown.cluster, liked - p, p * (1 - p), shown.n_requests),
    )


def log_odds_of(probability: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, clipped to +-13.8: a float32 probability may round to 0 or 1."""
    return np.asarray(logit(np.clip(probability, 1e-6, 1 - 1e-6).astype(np.float64)))
