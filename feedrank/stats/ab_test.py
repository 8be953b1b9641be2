"""Control against test: hit rates, their difference, and whether the split can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054
UNEVEN_P = 0.001  # the usual threshold: a fair split looks this uneven once in a thousand


@dataclass(frozen=True)
class Requests:
    """Lists that were returned, one row each.

    Attributes:
        user: ids, shape (n,).
        is_test: of the user's group, shape (n,).
        is_hit: the user liked one of the posts in time, shape (n,).
    """

    user: np.ndarray
    is_test: np.ndarray
    is_hit: np.ndarray


@dataclass(frozen=True)
class GroupRate:
    """One group's hit rate.

    Attributes:
        n_users: in the group.
        n_requests: of theirs.
        rate: hits over requests.
        variance: of the rate, over users.
    """

    n_users: int
    n_requests: int
    rate: float
    variance: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 %."""
        half = Z95 * math.sqrt(self.variance)
        return self.rate - half, self.rate + half


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        control: its hit rate.
        test: its hit rate.
        n_switched: users who were in both groups, and are left out.
        uneven_p: of the split's evenness, as planned; small: it is not the planned split.
    """

    control: GroupRate
    test: GroupRate
    n_switched: int
    uneven_p: float

    @property
    def difference(self) -> float:
        """Test less control."""
        return self.test.rate - self.control.rate

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the difference; users of the two groups are independent."""
        half = Z95 * math.sqrt(self.test.variance + self.control.variance)
        return self.difference - half, self.difference + half

    @property
    def is_even(self) -> bool:
        """The users fell into the groups as planned (no sample ratio mismatch)."""
        return self.uneven_p >= UNEVEN_P


def compare(requests: Requests, test_share: float) -> Comparison:
    """Compare the groups by users: they were split, so they are what is independent.

    Args:
        requests: of both groups.
        test_share: of the users that was planned for the test group.
    """
    users, of = np.unique(requests.user, return_inverse=True)
    n = np.bincount(of, minlength=len(users))
    n_test = np.bincount(of, requests.is_test, len(users))
    hits = np.bincount(of, requests.is_hit, len(users))
    is_test, is_control = n_test == n, n_test == 0
    control = group_rate(hits[is_control], n[is_control])
    test = group_rate(hits[is_test], n[is_test])
    p = uneven_p(control.n_users, test.n_users, test_share)
    return Comparison(control, test, int(np.sum(~is_test & ~is_control)), p)


def group_rate(hits: np.ndarray, n: np.ndarray) -> GroupRate:
    """Hits over requests, with the variance of a ratio of sums over users (delta method).

    Args:
        hits: of each user.
        n: requests of each user, all above 0.
    """
    n_users, total = len(n), int(n.sum())
    if n_users < 2:
        return GroupRate(n_users, total, float(hits.sum() / total) if total else math.nan, math.nan)
    rate = float(hits.sum() / total)
    left = hits - rate * n
    variance = float(np.sum(left**2)) / total**2 * n_users / (n_users - 1)
    return GroupRate(n_users, total, rate, variance)


def uneven_p(n_control: int, n_test: int, test_share: float) -> float:
    """Probability that a split as planned gives groups as uneven as these (chi-square, 1 df)."""
    n = n_control + n_test
    expected = n * test_share, n * (1 - test_share)
    if min(expected) == 0:
        return 1.0 if (n_test, n_control) == expected else 0.0
    statistic = (n_test - expected[0]) ** 2 / expected[0]
    statistic += (n_control - expected[1]) ** 2 / expected[1]
    return math.erfc(math.sqrt(statistic / 2))
