"""How strongly a count is shrunk: prior weights by maximum likelihood, not by guess.

A unit (a post, a user, a user's interest in a group of posts) likes `ratio` times as often as
expected, and ratios are Gamma distributed with mean 1 and shape `strength`. Its likes are then
negative binomial, and the posterior mean of its ratio is `(liked + strength) / (expected +
strength)`: the prior counts as `strength` expected likes.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

WEAKEST, STRONGEST = 0.05, 1e5
# Before any evidence units are thought to differ by some 15 % (strength 50), give or take a factor
# of five: so that a log too small to show any difference does not claim that there is none.
USUAL_LOG, USUAL_SPREAD = np.log(50.0), np.log(5.0)
# Before any evidence units are thought to differ by some 15 % (strength 50), give or take a factor
# of five: so that a log too small to show any difference does not claim that there is none.
USUAL_LOG, USUAL_SPREAD = np.log(50.0), np.log(5.0)


def ratio(liked: np.ndarray, expected: np.ndarray, strength: float | np.ndarray) -> np.ndarray:
    """Posterior mean of how many times more often than expected; 1 without any evidence."""
    return (liked + strength) / (expected + strength)


def log_evidence(liked: np.ndarray, expected: np.ndarray, strength: float) -> np.ndarray:
    """Log probability of the likes given what was expected, up to terms free of both."""
    a = strength
    return gammaln(a + liked) - gammaln(a) + a * np.log(a) - (a + liked) * np.log(a + expected)


def fit_strength(
    liked: np.ndarray, expected: np.ndarray, weight: np.ndarray | float = 1.0
) -> float:
    """The strength under which the likes of all units are most probable, drawn to a usual one.

    Returns:
        A number in [0.05, 1e5]; 50 without any evidence.
    """

    def loss(log_strength: float) -> float:
        terms = weight * log_evidence(liked, expected, np.exp(log_strength))
        unusual = (log_strength - USUAL_LOG) / USUAL_SPREAD
        return float(unusual**2 / 2 - np.sum(terms))

    bounds = (np.log(WEAKEST), np.log(STRONGEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
