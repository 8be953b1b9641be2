"""A/B test: hit rate of each arm, their difference, and the check for sample ratio mismatch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from feedrank.stats.intervals import ALIKE, LEAST_USERS, Z95, none_of

# The usual threshold for sample ratio mismatch (Fabijan et al. 2019): a sound assignment falls
# below it once in a thousand tests.
MISMATCH_P = 0.001
# Of hits and of misses, before a verdict: the usual one for a normal approximation to a rate.
LEAST_OUTCOMES = 10


@dataclass(frozen=True)
class AbOutcomes:
    """Returned lists with their outcome, one row each.

    Attributes:
        user: ids, shape (n,).
        is_test: the user's arm is test, shape (n,).
        is_hit: the user liked one of the posts in time, shape (n,).
        explore: share of the list's places that explore, shape (n,).
    """

    user: np.ndarray
    is_test: np.ndarray
    is_hit: np.ndarray
    explore: np.ndarray


@dataclass(frozen=True)
class ArmRate:
    """Hit rate of one arm.

    Attributes:
        n_users: in the arm.
        n_requests: of these users.
        n_hits: requests whose list was liked in time.
        rate: hits over requests; NaN for no requests.
        variance: of the rate, over users; NaN for fewer than two users. Where these do not
            differ, as where all or none are hits, that of which Wilson's interval for none of so
            many users is the 95 % interval.
        explore: mean share of the places that explore; NaN for no requests.
    """

    n_users: int
    n_requests: int
    n_hits: int
    rate: float
    variance: float
    explore: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate."""
        low, high = _interval(self.rate, self.variance, self.n_users - 1)
        return max(low, 0.0), min(high, 1.0)


@dataclass(frozen=True)
class Comparison:
    """Result of an A/B test.

    Attributes:
        control: its hit rate.
        test: its hit rate.
        n_switched: users with lists of both arms, who are left out.
        mismatch_p: p value of the planned assignment (sample ratio mismatch).
    """

    control: ArmRate
    test: ArmRate
    n_switched: int
    mismatch_p: float

    @property
    def difference(self) -> float:
        """Hit rate of test less that of control."""
        return self.test.rate - self.control.rate

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference; users of the two arms are independent.

        Student's t by users, with degrees of freedom for unequal variances (Welch, *The
        generalization of Student's problem*, 1947).
        """
        arms = (self.control, self.test)
        variance = self.control.variance + self.test.variance
        squares = sum(arm.variance**2 / max(arm.n_users - 1, 1) for arm in arms)
        return _interval(self.difference, variance, variance**2 / squares)

    @property
    def is_decisive(self) -> bool:
        """Whether users of each arm, and hits and misses of both, are enough for a verdict."""
        n_misses = self.control.n_requests + self.test.n_requests - self.n_hits
        least = min(self.control.n_users, self.test.n_users)
        return least >= LEAST_USERS and min(self.n_hits, n_misses) >= LEAST_OUTCOMES

    @property
    def empty_arms(self) -> list[str]:
        """Names of the arms with fewer than two users, of whose rate nothing can be said."""
        arms = {"control": self.control, "test": self.test}
        return [name for name, arm in arms.items() if arm.n_users < 2]

    @property
    def n_hits(self) -> int:
        """Hits of both arms: without any, there is nothing to compare."""
        return self.control.n_hits + self.test.n_hits

    @property
    def is_as_planned(self) -> bool:
        """The numbers of users in the arms fit the planned assignment."""
        return self.mismatch_p >= MISMATCH_P


def compare(outcomes: AbOutcomes, test_share: float) -> Comparison:
    """Compare the arms by users: these were assigned, so these are the independent units.

    Args:
        outcomes: of both arms.
        test_share: planned share of the users in the arm `test`.
    """
    users, of = np.unique(outcomes.user, return_inverse=True)
    n = np.bincount(of, minlength=len(users))
    n_test = np.bincount(of, outcomes.is_test, len(users))
    hits = np.bincount(of, outcomes.is_hit, len(users))
    explore = np.bincount(of, outcomes.explore, len(users))
    is_test, is_control = n_test == n, n_test == 0
    control, test = (arm_rate(hits[arm], n[arm], explore[arm]) for arm in (is_control, is_test))
    p = mismatch_p(control.n_users, test.n_users, test_share)
    return Comparison(control, test, int(np.sum(~is_test & ~is_control)), p)


def arm_rate(hits: np.ndarray, n: np.ndarray, explore: np.ndarray) -> ArmRate:
    """Hits over requests, with the variance of a ratio of sums over users (delta method).

    Args:
        hits: of each user.
        n: requests of each user, all above 0.
        explore: sum over each user's lists of the share of their places that explore.
    """
    n_users, total, n_hits = len(n), int(n.sum()), int(hits.sum())
    rate, explored = (x / total if total else math.nan for x in (n_hits, float(explore.sum())))
    variance = math.nan
    if n_users > 1:
        left = hits - rate * n
        variance = float(np.sum(left**2)) / total**2 * n_users / (n_users - 1)
        if np.abs(left).max() < ALIKE:
            variance = (none_of(n_users) / Z95) ** 2
    return ArmRate(n_users, total, n_hits, rate, variance, explored)


def mismatch_p(n_control: int, n_test: int, test_share: float) -> float:
    """Probability of arms at least as uneven under the planned assignment (chi-square, 1 df)."""
    n = n_control + n_test
    expected = n * test_share, n * (1 - test_share)
    if min(expected) == 0:
        return 1.0 if (n_test, n_control) == expected else 0.0
    statistic = (n_test - expected[0]) ** 2 / expected[0]
    statistic += (n_control - expected[1]) ** 2 / expected[1]
    return math.erfc(math.sqrt(statistic / 2))


def _interval(value: float, variance: float, freedom: float) -> tuple[float, float]:
    """Ends of the 95 % interval by Student's t; NaN for no degree of freedom."""
    half = float(student.ppf(0.975, freedom)) * math.sqrt(variance)
    return value - half, value + half
