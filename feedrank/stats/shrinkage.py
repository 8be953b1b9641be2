"""How strongly a count is shrunk: prior weights by maximum likelihood, not by guess.

A unit (a post, a user, a user's interest in a group of posts) likes `ratio` times as often as
expected, and ratios differ from unit to unit around 1. Its likes out of `shown` impressions are
beta-binomial with mean `expected` and `strength` prior likes, so the posterior mean of its ratio
is `(liked + strength) / (expected + strength)`: the prior counts as `strength` expected likes.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaln, gammaln

WEAKEST, STRONGEST = 0.05, 1e5
# Before any evidence units are thought to differ by some 15 % (strength 50), give or take a factor
# of five: so that a log too small to show any difference does not claim that there is none.
USUAL_LOG, USUAL_SPREAD = np.log(50.0), np.log(5.0)
HIGHEST_RATE = 0.99
# A Beta(1, 9) prior of like rates: mean 10 %, near the 12 % of the reference log, and worth ten
# impressions, so that it only counts in a log of a few hundred.
BASE_LIKES, BASE_IMPRESSIONS = 1, 10


def base_rate(liked: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Like rate under a weak prior, never 0 or 1: the posterior mean of a Beta-binomial."""
    return (liked + BASE_LIKES) / (shown + BASE_IMPRESSIONS)


def ratio(liked: np.ndarray, expected: np.ndarray, strength: float | np.ndarray) -> np.ndarray:
    """Posterior mean of how many times more often than expected; 1 without any evidence.

    >>> ratio(np.array([0, 20, 2000]), np.array([0, 10, 1000]), strength=50)
    array([1.        , 1.16666667, 1.95238095])
    """
    return (liked + strength) / (expected + strength)


def log_ratio(liked: np.ndarray, expected: np.ndarray, strength: float) -> np.ndarray:
    """Logarithm of `ratio`, float32."""
    return np.log(ratio(liked, expected, strength)).astype(np.float32)


def log_evidence(
    liked: np.ndarray, expected: np.ndarray, strength: float, dispersion: float
) -> np.ndarray:
    """Log probability of a unit's likes with its ratio integrated out, up to terms free of both.

    Gamma-Poisson, which stays in closed form where one ratio multiplies several rates. Likes are
    at most one an impression, so they scatter less than Poisson counts: by `dispersion`, one less
    the like rate, through which all counts are divided.
    """
    likes, a = liked / dispersion, strength / dispersion
    spread = a * np.log(a) - (a + likes) * np.log(a + expected / dispersion)
    return gammaln(a + likes) - gammaln(a) + spread


def fit_strength(
    liked: np.ndarray,
    shown: np.ndarray,
    expected: np.ndarray,
    weight: np.ndarray | float = 1.0,
) -> float:
    """The strength under which the likes of all units are most probable, drawn to a usual one.

    Args:
        liked: likes of each unit.
        shown: impressions of each unit, same shape.
        expected: likes expected of each unit, same shape.
        weight: of each unit.

    Returns:
        A number in [0.05, 1e5]; 50 without any evidence.
    """
    known = np.broadcast_to(shown > 0, expected.shape)
    liked, shown, expected, weight = (
        np.broadcast_to(x, known.shape)[known] for x in (liked, shown, expected, weight)
    )
    rate = np.clip(expected / np.maximum(shown, 1), 1e-6, HIGHEST_RATE)
    disliked, odds = shown - liked, (1 - rate) / rate

    def loss(log_strength: float) -> float:
        a = np.exp(log_strength)
        terms = betaln(liked + a, disliked + a * odds) - betaln(a, a * odds)
        unusual = (log_strength - USUAL_LOG) / USUAL_SPREAD
        return float(unusual**2 / 2 - np.sum(weight * terms))

    bounds = (np.log(WEAKEST), np.log(STRONGEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
