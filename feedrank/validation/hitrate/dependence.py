"""Dependence between the likes of one request: a shared variance of log-odds, from pairs.

Likes of one request share two random effects: a level, since users differ by more than we know, and
a slope, since our log-odds suit one user and not another, alike for all posts that they put first.
A level of variance t0 and a slope of variance t1 give two impressions, whose log-odds deviate by x1
and x2 from the mean of the request, a covariance of residuals (liked - p) of about
(t0 + t1 x1 x2) v1 v2, where v = p (1 - p): the first-order expansion of a logistic model with
random effects (Zeger, Liang and Albert, *Models for longitudinal data*, 1988). Both variances are
found by the method of moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Prior strength of a variance of 0, in units of `possible`: so many pairs have a standard error of
# sqrt(2 / 250) = .09, the variance of a random effect of .3 logits.
PAIRS_PRIOR = 250.0
# The same for the variance of slopes: a standard error of .03, the variance of slopes of .5 where
# log-odds of a request differ by .35. 250 to 5,000 give the same errors within .001.
SLOPE_PAIRS_PRIOR = 2_500.0
# Twice the variance of the strongest tastes of the simulated networks (.5^2 + .3^2 + .4^2).
MOST_VARIANCE = 1.0


@dataclass(frozen=True)
class Dependence:
    """Sums over the pairs of each request.

    Attributes:
        products: of residuals, then of them times x1 x2, shape (n_requests, 2).
        possible: of v1 v2, times x1 x2, times its square, shape (n_requests, 3).
    """

    products: np.ndarray
    possible: np.ndarray

    @classmethod
    def of(
        cls,
        request: np.ndarray,
        deviation: np.ndarray,
        residual: np.ndarray,
        variance: np.ndarray,
        n_requests: int,
    ) -> Dependence:
        """From impressions.

        Args:
            request: row of the request of each, shape (n,).
            deviation: of its log-odds from the mean of the request, in standard deviations, (n,).
            residual: 1 or 0 for liked or not, less its probability, shape (n,).
            variance: of the residual, shape (n,).
            n_requests: requests, those without impressions included.
        """

        def pairs(values: np.ndarray, *powers: int) -> np.ndarray:
            sums = [_pairs(values * deviation**power, request, n_requests) for power in powers]
            return np.stack(sums, axis=1)

        return cls(pairs(residual, 0, 1), pairs(variance, 0, 1, 2))

    def variance(self, product: float) -> tuple[float, np.ndarray]:
        """Shared variance of a list's log-odds, and each request's influence on it.

        Args:
            product: mean of x1 x2 over the pairs within lists.

        Returns:
            The variance, at least 0, in squared logits, and influences, shape (n_requests,).
        """
        level, mixed, slope = self.possible.sum(axis=0)
        prior = np.diag([PAIRS_PRIOR, SLOPE_PAIRS_PRIOR])
        inverse = np.linalg.inv(np.array([[level, mixed], [mixed, slope]]) + prior)
        found = inverse @ self.products.sum(axis=0)
        at_list = np.array([1.0, product])
        fitted = np.stack([self.possible[:, :2] @ found, self.possible[:, 1:] @ found], axis=1)
        influence = (self.products - fitted) @ inverse @ at_list
        if len(influence):
            influence = influence - influence.mean()
        return float(np.clip(found @ at_list, 0.0, MOST_VARIANCE)), influence


def mean_product(deviation: np.ndarray, is_listed: np.ndarray) -> float:
    """Mean product of two deviations over the pairs within lists; 0 for no pair.

    Args:
        deviation: of each listed post, shape (n_lists, k).
        is_listed: whether a place is taken, bool, same shape.
    """
    x = np.where(is_listed, deviation, 0.0)
    n = is_listed.sum(axis=1)
    return float((x.sum(axis=1) ** 2 - (x**2).sum(axis=1)).sum() / max((n * (n - 1)).sum(), 1))


def _pairs(values: np.ndarray, of: np.ndarray, n: int) -> np.ndarray:
    """Twice the sum of products over the pairs of each cell, shape (n,)."""
    return np.asarray(np.bincount(of, values, n) ** 2 - np.bincount(of, values**2, n))
