"""Means with 95 % intervals: bootstrap over users, and Wilson's with a design effect."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

Z95 = 1.96  # half the width of a 95 % interval, in standard errors
# Fewer decide nothing: the interval of a difference of hit rates of 50 requests is +-.1 at best,
# and of fewer than 20 users hardly any are left to resample.
LEAST_REQUESTS, LEAST_USERS = 50, 20
ALIKE = 1e-9  # values that differ by less are equal: float64 rounds a hit by 1e-16
DIGITS = 5  # of a number in a report: intervals of hit rates are some 1,000 times as wide


def rounded(value: float) -> float | None:
    """The value with five digits; None, which is null in JSON, for NaN."""
    return None if math.isnan(value) else round(float(value), DIGITS)


@dataclass(frozen=True)
class Estimate:
    """A mean over requests with its 95 % interval.

    Attributes:
        value: the mean; NaN for no requests.
        low: lower end; NaN without an interval.
        high: upper end; NaN without an interval.
        n_requests: with a value.
        n_users: with a request that has a value.
    """

    value: float
    low: float
    high: float
    n_requests: int
    n_users: int

    @property
    def is_decisive(self) -> bool:
        """Whether enough requests of enough users have a value for a decision."""
        return self.n_requests >= LEAST_REQUESTS and self.n_users >= LEAST_USERS

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return not math.isnan(self.high - self.low)

    def without_interval(self) -> Estimate:
        """The value alone."""
        return replace(self, low=math.nan, high=math.nan)

    def if_decisive(self) -> Estimate:
        """The same, without an interval where too few requests have a value for a decision."""
        return self if self.is_decisive else self.without_interval()

    def words(self, form: str = ".3f") -> str:
        """Value and ends, '0.600 [0.550, 0.650]', as far as there are any."""
        if math.isnan(self.value):
            return "without a value"
        ends = f"[{self.low:{form}}, {self.high:{form}}]" if self.has_interval else "(no interval)"
        return f"{self.value:{form}} {ends}"

    def within(self, low: float, high: float) -> Estimate:
        """The same with the interval clipped to [low, high]."""
        return replace(self, low=float(np.clip(self.low, low, high)),
                       high=float(np.clip(self.high, low, high)))  # fmt: skip

    def entries(self, value: str, low: str = "", high: str = "") -> dict[str, float | None]:
        """Value and ends, rounded, as entries of a report: `x`, `x_low` and `x_high` for 'x'."""
        names = (value, low or f"{value}_low", high or f"{value}_high")
        return dict(zip(names, map(rounded, (self.value, self.low, self.high)), strict=True))


NOTHING = Estimate(math.nan, math.nan, math.nan, 0, 0)


@dataclass(frozen=True)
class UserWeights:
    """Weights of a cluster bootstrap over users: how often each user counts in each resample.

    Attributes:
        of_user: float64, shape (n_resamples, n_users).
        user: place of each request's user among them, shape (n_requests,).
    """

    of_user: np.ndarray
    user: np.ndarray

    def means(self, value: np.ndarray) -> np.ndarray:
        """Mean of the values of each resample, (n_resamples,).

        Values that are NaN are left out; a resample without any other has NaN.
        """
        n, is_given = self.of_user.shape[1], ~np.isnan(value)
        total = self.of_user @ np.bincount(self.user, np.where(is_given, value, 0.0), n)
        n_given = self.of_user @ np.bincount(self.user, is_given, n)
        return np.divide(total, n_given, out=np.full(len(total), np.nan), where=n_given > 0)


def user_weights(user: np.ndarray, n_resamples: int, seed: int) -> UserWeights:
    """Requests of one user are not independent, so whole users are drawn, with replacement.

    Args:
        user: of each request, shape (n_requests,).
        n_resamples: resamples.
        seed: of the draws: equal for all metrics of one run, so that differences are paired.
    """
    users, of = np.unique(user, return_inverse=True)
    if not len(users):
        return UserWeights(np.zeros((n_resamples, 0)), of)
    rng, n = np.random.default_rng(seed), len(users)
    # Counts of users drawn one by one: 14 times as fast as multinomial draws of 13,000.
    drawn = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_resamples)]
    return UserWeights(np.array(drawn, np.float64).reshape(n_resamples, n), of)


def estimate(value: np.ndarray, weights: UserWeights, doubt: np.ndarray | None = None) -> Estimate:
    """Mean of per-request values with the percentile interval of a bootstrap over users.

    Requests without a value (NaN) are left out, and resamples of such requests alone. Where all
    values are equal, no resample differs: their interval is as wide as Wilson's for none of so many
    users, to both sides.

    Args:
        value: shape (n_requests,).
        weights: resamples of users.
        doubt: added to the mean of each resample, shape (n_resamples,): what no request tells.

    All of 400 users with the same difference:

    >>> found = estimate(np.full(400, 0.1), user_weights(np.arange(400), 100, seed=1))
    >>> found.words(".2f")
    '0.10 [0.09, 0.11]'
    """
    is_given = ~np.isnan(value)
    given = value[is_given]
    if not len(given):
        return NOTHING
    n_users = int(np.count_nonzero(np.bincount(weights.user[is_given])))
    means = weights.means(value) + (0 if doubt is None else doubt)
    # numpy's quantile that leaves out NaN takes several times as long.
    quantile = np.nanquantile if np.isnan(means).any() else np.quantile
    low, high = quantile(means, [0.025, 0.975])
    apart = none_of(n_users) if np.ptp(given) < ALIKE else 0.0
    return Estimate(
        float(given.mean()), float(low) - apart, float(high) + apart, len(given), n_users
    )


def proportion(value: np.ndarray, user: np.ndarray) -> Estimate:
    """Mean of hits or likes with Wilson's 95 % interval, which has a width even at 0 and at 1.

    Values of one user are not independent, so the interval is that of the effective sample size:
    n over the design effect, sum over users of (sum of value - mean)^2 / (n mean (1 - mean)), at
    least 1 (Wilson 1927; Kish, Survey Sampling, 1965). Values that are all 0 or all 1, or of one
    user, tell nothing of that effect: then the number of users takes its place. NaN values are left
    out.

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
        return NOTHING
    mean = float(value.mean())
    by_user = np.bincount(np.unique(user, return_inverse=True)[1], value - mean)
    n_users, variance = len(by_user), n * (mean * (1 - mean))
    is_known = n_users > 1 and variance > 0
    design_effect = float(np.sum(by_user**2)) / variance if is_known else n / n_users
    low, high = _wilson(mean, n / max(1.0, design_effect))
    return Estimate(mean, min(low, mean), max(high, mean), n, n_users)


def none_of(n_users: int) -> float:
    """Upper end of Wilson's 95 % interval for none of so many users."""
    return _wilson(0.0, n_users)[1]


def _wilson(mean: float, n: float) -> tuple[float, float]:
    """Ends of Wilson's interval for a mean of n independent hits."""
    center = (mean + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * np.sqrt(mean * (1 - mean) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return max(0.0, float(center - half)), min(1.0, float(center + half))
