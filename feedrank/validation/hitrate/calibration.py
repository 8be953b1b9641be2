"""How our log-odds become the chance of a like, on impressions that no model has seen.

One line is fitted on all impressions shown in the requests; `feedrank.validation.hitrate.expected`
says what for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from feedrank.stats.logistic import fit_logistic
from feedrank.validation.hitrate.dependence import Dependence

SLOPE_SPREAD = 0.5  # a slope this far from 1 needs evidence


@dataclass(frozen=True)
class Shown:
    """Impressions of the requests, in any order.

    Attributes:
        probability: our own of each, shape (n_shown,).
        liked: bool, shape (n_shown,).
        request: row of the request, shape (n_shown,).
        exposure: how often the feed shows the post to the segment, 1 for an average post, shape
            (n_shown,).
        cluster: of the post, as it was known at the cutoff, shape (n_shown,).
        n_requests: requests, those without impressions included.
    """

    probability: np.ndarray
    liked: np.ndarray
    request: np.ndarray
    exposure: np.ndarray
    cluster: np.ndarray
    n_requests: int


@dataclass(frozen=True)
class Calibration:
    """How our log-odds become probabilities that held on impressions no model has seen.

    Attributes:
        intercept: of the log-odds.
        slope: of our log-odds, counted from `center`.
        center: mean of our log-odds over the impressions shown.
        mean: of the calibrated log-odds of the impressions shown.
        n_shown: impressions it was fitted on.
        influence: by how much each request moved intercept and slope, shape (n_requests, 2).
        dependence: of what the likes of one request share.
    """

    intercept: float
    slope: float
    center: float
    mean: float
    n_shown: int
    influence: np.ndarray
    dependence: Dependence

    def log_odds(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of our probabilities."""
        return self.intercept + self.slope * (score_of(probability) - self.center)


def calibrate(shown: Shown) -> Calibration:
    """Intercept, slope and dependence from all impressions of the requests."""
    score = score_of(shown.probability)
    center = float(score.mean()) if len(score) else 0.0
    design = np.stack([np.ones_like(score), score - center], axis=1)
    liked = shown.liked.astype(np.float64)
    usual, precision = np.array([center, 1.0]), np.array([1e-6, SLOPE_SPREAD**-2])
    fit = fit_logistic(design, liked, usual, precision)
    found, bend = fit.weights, fit.curvature
    log_odds = design @ found
    p = expit(log_odds)
    moved = _by_request(shown, design * (liked - p)[:, None]) @ np.linalg.inv(bend)
    return Calibration(
        float(found[0]),
        float(found[1]),
        center,
        float(log_odds.mean()) if len(score) else 0.0,
        len(score),
        moved - moved.mean(axis=0) if len(moved) else moved,
        Dependence.of(shown.request, shown.cluster, liked - p, p * (1 - p), shown.n_requests),
    )


def _by_request(shown: Shown, columns: np.ndarray) -> np.ndarray:
    """Sums over each request's impressions, shape (n_requests, n_columns)."""
    sums = [np.bincount(shown.request, c, shown.n_requests) for c in columns.T]
    return np.stack(sums, axis=1)


def score_of(probability: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, kept from 0 and 1."""
    return np.asarray(logit(np.clip(probability, 1e-6, 1 - 1e-6).astype(np.float64)))
