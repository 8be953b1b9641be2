"""A/B test: hit rates of control and test, their difference, and a check of the split."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from feedrank.stats.intervals import Z95

# The customary threshold of a sample ratio mismatch (Fabijan et al. 2019): a split as planned looks
# this uneven once in a thousand tests.
UNEVEN_P = 0.001


@dataclass(frozen=True)
class AbOutcomes:
    """Returned lists of an A/B test and their hits, one row each.

    Attributes:
        user: ids, shape (n,).
        is_test: the user is in arm `test`, shape (n,).
        is_hit: the user liked one of the posts in time, shape (n,).
    """

    user: np.ndarray
    is_test: np.ndarray
    is_hit: np.ndarray


@dataclass(frozen=True)
class ArmRate:
    """Hit rate of one arm.

    Attributes:
        n_users: of the arm.
        n_requests: of these users.
        rate: hits over requests.
        variance: of the rate, over users.
    """

    n_users: int
    n_requests: int
    rate: float
    variance: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate."""
        half = Z95 * math.sqrt(self.variance)
        return self.rate - half, self.rate + half


@dataclass(frozen=True)
class Comparison:
    """Result of an A/B test.

    Attributes:
        control: its hit rate.
        test: its hit rate.
        n_switched: users who were in both arms, and are left out.
        uneven_p: p-value of the planned split; small: the split is not the planned one.
    """

    control: ArmRate
    test: ArmRate
    n_switched: int
    uneven_p: float

    @property
    def difference(self) -> float:
        """Test less control."""
        return self.test.rate - self.control.rate

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference; users of the two arms are independent."""
        half = Z95 * math.sqrt(self.test.variance + self.control.variance)
        return self.difference - half, self.difference + half

    @property
    def is_even(self) -> bool:
        """Users are split as planned: no sample ratio mismatch."""
        return self.uneven_p >= UNEVEN_P


def compare(requests: AbOutcomes, test_share: float) -> Comparison:
    """Compare the arms by users, the units that were split and so are independent.

    Args:
        requests: of both arms.
        test_share: of the users that was planned for arm `test`.
    """
    users, of = np.unique(requests.user, return_inverse=True)
    n = np.bincount(of, minlength=len(users))
    n_test = np.bincount(of, requests.is_test, len(users))
    hits = np.bincount(of, requests.is_hit, len(users))
    is_test, is_control = n_test == n, n_test == 0
    control = arm_rate(hits[is_control], n[is_control])
    test = arm_rate(hits[is_test], n[is_test])
    p = uneven_p(control.n_users, test.n_users, test_share)
    return Comparison(control, test, int(np.sum(~is_test & ~is_control)), p)


def arm_rate(hits: np.ndarray, n: np.ndarray) -> ArmRate:
    """Hits over requests, with the variance of a ratio of sums over users (delta method).

    Args:
        hits: of each user.
        n: requests of each user, all above 0.
    """
    n_users, total = len(n), int(n.sum())
    if n_users < 2:
        return ArmRate(n_users, total, float(hits.sum() / total) if total else math.nan, math.nan)
    rate = float(hits.sum() / total)
    left = hits - rate * n
    variance = float(np.sum(left**2)) / total**2 * n_users / (n_users - 1)
    return ArmRate(n_users, total, rate, variance)


def uneven_p(n_control: int, n_test: int, test_share: float) -> float:
    """P-value of a chi-square test (1 degree of freedom) that the split is the planned one."""
    n = n_control + n_test
    expected = n * test_share, n * (1 - test_share)
    if min(expected) == 0:
        return 1.0 if (n_test, n_control) == expected else 0.0
    statistic = (n_test - expected[0]) ** 2 / expected[0]
    statistic += (n_control - expected[1]) ** 2 / expected[1]
    return math.erfc(math.sqrt(statistic / 2))
