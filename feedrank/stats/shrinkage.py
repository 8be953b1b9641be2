"""Empirical-Bayes shrinkage of like rates and ratios, prior strengths by maximum likelihood.

A unit (a post, a user, a user in a cluster of posts) likes `ratio` times as often as expected, and
ratios vary between units around 1. Likes out of `shown` impressions are beta-binomial with mean
`expected` and a prior of `strength` likes (Gelman et al., Bayesian Data Analysis, section 5.3), so
the posterior mean of the ratio is `(liked + strength) / (expected + strength)`: the prior counts
as `strength` expected likes.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, gammaln

# Bounds of a prior strength: units that differ by a factor of four, and by 0.3 %. For other values
# see docs/ranking.md, "Constants".
WEAKEST, STRONGEST = 0.05, 1e5
# Log-normal prior of a prior strength: units differ by some 15 % (strength 50), give or take a
# factor of five, so that a log too small to show a difference does not claim that there is none.
PRIOR_LOG_STRENGTH, PRIOR_LOG_SPREAD = np.log(50.0), np.log(5.0)
# Units that a strength is fitted to, whole rows evenly spread, at most: those of 70,000 posts in 12
# clusters took a fifth of a fit's time. So many tell a strength to some hundredths.
MOST_UNITS = 50_000
TOLERANCE = 0.01  # of a strength's logarithm; scipy's 1e-5 takes a quarter more evaluations
HIGHEST_RATE = 0.99  # of an impression, below 1 as odds need; any from 0.9 to 0.999
# A Beta(1, 9) prior of like rates: mean 10 %, near the 12 % of the reference log, and worth ten
# impressions, so that it only counts in a log of a few hundred.
BASE_LIKES, BASE_IMPRESSIONS = 1, 10
# Of a feature. Versions of numpy and processors differ in the last bits, and many posts share a
# value: without evidence they all have the prior's. Last bits must not decide on which side of a
# tree's threshold, itself a value of a row, they all lie.
DECIMALS = 4


def base_rate(liked: np.ndarray, shown: np.ndarray | int) -> np.ndarray:
    """Like rate under a weak prior, never 0 or 1: the posterior mean of a Beta-binomial."""
    return (liked + BASE_LIKES) / (shown + BASE_IMPRESSIONS)


def ratio(liked: np.ndarray, expected: np.ndarray, strength: float | np.ndarray) -> np.ndarray:
    """Posterior mean of likes over expected likes; 1 without any evidence.

    Args:
        liked: likes of each unit, any shape.
        expected: likes expected of each unit, same shape.
        strength: prior strength in expected likes, one or one a unit.

    >>> ratio(np.array([0, 20, 2000]), np.array([0, 10, 1000]), strength=50)
    array([1.        , 1.16666667, 1.95238095])
    """
    return (liked + strength) / (expected + strength)


def log_ratio(liked: np.ndarray, expected: np.ndarray, strength: float | np.ndarray) -> np.ndarray:
    """Logarithm of `ratio`, as a feature."""
    return as_feature(np.log(ratio(liked, expected, strength)))


def as_feature(values: np.ndarray) -> np.ndarray:
    """Values of a feature, float32, rounded to `DECIMALS`."""
    return np.round(values, DECIMALS).astype(np.float32)


def log_evidence(
    liked: np.ndarray, expected: np.ndarray, strength: float, dispersion: float
) -> np.ndarray:
    """Log marginal likelihood of a unit's likes, its ratio integrated out, up to a constant.

    Gamma-Poisson, which stays in closed form where one ratio multiplies several rates. An
    impression is liked once at most, so likes vary less than Poisson counts: all counts are
    divided by `dispersion`, one less the like rate (quasi-likelihood).
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
    """Prior strength of most posterior probability: beta-binomial likelihood, log-normal prior.

    Args:
        liked: likes of each unit.
        shown: impressions of each unit, same shape.
        expected: likes expected of each unit, same shape.
        weight: of each unit.

    Returns:
        Expected likes, in [0.05, 1e5]; 50 without any evidence.
    """
    from scipy.optimize import minimize_scalar  # what serves does without, and starts sooner

    spread = slice(None, None, max(1, -(-expected.size // MOST_UNITS)))
    columns = [np.broadcast_to(x, expected.shape)[spread] for x in (liked, shown, expected, weight)]
    liked, shown, expected, weight = (column[columns[1] > 0] for column in columns)
    rate = np.clip(expected / np.maximum(shown, 1), 1e-6, HIGHEST_RATE)
    disliked, odds = shown - liked, (1 - rate) / rate

    def loss(log_strength: float) -> float:
        a = np.exp(log_strength)
        terms = betaln(liked + a, disliked + a * odds) - betaln(a, a * odds)
        z = (log_strength - PRIOR_LOG_STRENGTH) / PRIOR_LOG_SPREAD
        return float(z**2 / 2 - np.sum(weight * terms))

    bounds = (np.log(WEAKEST), np.log(STRONGEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": TOLERANCE})
    return float(np.exp(found.x))
