"""Means with 95 % intervals: bootstrap over users, and Wilson's with a design effect."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

Z95 = 1.96  # half the width of a 95 % interval, in standard errors
DIGITS = 5  # of a number in a report: intervals of hit rates are some 1,000 times as wide


def rounded(value: float) -> float | None:
    """The value with five digits; None, which is null in JSON, for NaN."""
    return None if math.isnan(value) else round(float(value), DIGITS)


@dataclass(frozen=True)
class Estimate:
    """A mean over requests with its 95 % interval.

    Attributes:
        value: the mean; NaN for no requests.
        low: lower end.
        high: upper end.
        n_requests: with a value.
    """

    value: float
    low: float
    high: float
    n_requests: int

    def within(self, low: float, high: float) -> Estimate:
        """The same with the interval clipped to [low, high]."""
        return replace(self, low=float(np.clip(self.low, low, high)),
                       high=float(np.clip(self.high, low, high)))  # fmt: skip

    def entries(self, value: str, low: str = "", high: str = "") -> dict[str, float | None]:
        """Value and ends, rounded, as entries of a report: `x`, `x_low` and `x_high` for 'x'."""
        names = (value, low or f"{value}_low", high or f"{value}_high")
        return dict(zip(names, map(rounded, (self.value, self.low, self.high)), strict=True))


def user_weights(user: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Weights of a cluster bootstrap over users: how often each request counts in each resample.

    Requests of one user are not independent, so whole users are drawn, with replacement.

    Args:
        user: of each request, shape (n_requests,).
        n_resamples: resamples.
        seed: of the draws: equal for all metrics of one run, so that differences are paired.

    Returns:
        int32, shape (n_resamples, n_requests).
    """
    users, of = np.unique(user, return_inverse=True)
    rng = np.random.default_rng(seed)
    if not len(users):
        return np.zeros((n_resamples, 0), dtype=np.int32)
    drawn = rng.multinomial(len(users), np.full(len(users), 1 / len(users)), size=n_resamples)
    return np.asarray(drawn.astype(np.int32)[:, of])


def estimate(value: np.ndarray, weights: np.ndarray, doubt: np.ndarray | None = None) -> Estimate:
    """Mean of per-request values with the percentile interval of a bootstrap over users.

    Requests without a value (NaN) are left out.

    Args:
        value: shape (n_requests,).
        weights: of `user_weights`, shape (n_resamples, n_requests).
        doubt: added to the mean of each resample, shape (n_resamples,): what no request tells.
    """
    is_given = ~np.isnan(value)
    if not is_given.any():
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value, weights = value[is_given], weights[:, is_given]
    total = np.maximum(weights.sum(1), 1)
    means = weights @ value / total + (0 if doubt is None else doubt)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(value.mean()), float(low), float(high), len(value))


def proportion(value: np.ndarray, user: np.ndarray) -> Estimate:
    """Mean of hits or likes with Wilson's 95 % interval, which has a width even at 0 and at 1.

    Values of one user are not independent, so the interval is that of the effective sample size:
    n over the design effect, sum over users of (sum of value - mean)^2 / (n mean (1 - mean)), at
    least 1 (Wilson 1927; Kish, Survey Sampling, 1965). NaN values are left out.

    Args:
        value: in [0, 1], shape (n,); treated as 0 or 1, whose variance is largest.
        user: of each value, shape (n,).

    None of twelve is not certainly none; three of six say less if two users gave them:

    >>> round(proportion(np.zeros(12), user=np.arange(12)).high, 2)
    0.24
    >>> value = np.array([1, 1, 1, 0, 0, 0])
    >>> round(proportion(value, user=np.arange(6)).high, 2)
    0.81
    >>> round(proportion(value, user=np.array([0, 0, 0, 1, 1, 1])).high, 2)
    0.91
    """
    is_given = ~np.isnan(value)
    value, user = value[is_given].astype(np.float64), user[is_given]
    n = len(value)
    if not n:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    mean = float(value.mean())
    by_user = np.bincount(np.unique(user, return_inverse=True)[1], value - mean)
    design_effect = float(np.sum(by_user**2)) / max(n * (mean * (1 - mean)), 1e-12)
    low, high = _wilson(mean, n / max(1.0, design_effect))
    return Estimate(mean, min(low, mean), max(high, mean), n)


def _wilson(mean: float, n: float) -> tuple[float, float]:
    """Ends of Wilson's interval for a mean of n independent hits."""
    center = (mean + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * np.sqrt(mean * (1 - mean) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return max(0.0, float(center - half)), min(1.0, float(center + half))
