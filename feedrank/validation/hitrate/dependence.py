"""Dependence between the likes of one request: a shared variance of log-odds, from pairs.

A random effect of variance sigma^2 in the log-odds of a request gives two of its impressions a
covariance of residuals (liked - p) of about sigma^2 v1 v2, where v = p (1 - p): the first-order
expansion of a logistic random-intercept model (Zeger, Liang and Albert, *Models for longitudinal
data*, 1988). Sigma^2 is therefore the sum of products of residuals over the sum of v1 v2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Prior strength of a variance of 0, in units of `possible`: so many pairs have a standard error of
# sqrt(2 / 250) = .09, the variance of a random effect of .3 logits.
PAIRS_PRIOR = 250.0
# Twice the variance of the strongest tastes of the simulated networks (.5^2 + .3^2 + .4^2).
MOST_VARIANCE = 1.0


@dataclass(frozen=True)
class Dependence:
    """Sums over the pairs of each request, first of posts of two clusters, then of the same one.

    Posts of the same cluster share more: a taste for the cluster that no profile tells.

    Attributes:
        products: of residuals, shape (n_requests, 2).
        possible: of v1 v2, same shape.
    """

    products: np.ndarray
    possible: np.ndarray

    @classmethod
    def of(
        cls,
        request: np.ndarray,
        cluster: np.ndarray,
        residual: np.ndarray,
        variance: np.ndarray,
        n_requests: int,
    ) -> Dependence:
        """From impressions.

        Args:
            request: row of the request of each, shape (n,).
            cluster: of its post, whole numbers from 0, shape (n,).
            residual: 1 or 0 for liked or not, less its probability, shape (n,).
            variance: of the residual, shape (n,).
            n_requests: requests, those without impressions included.
        """
        n_clusters = int(cluster.max(initial=0)) + 1
        cell = request * n_clusters + cluster

        def pairs(values: np.ndarray) -> np.ndarray:
            of_all = _pairs(values, request, n_requests)
            within = _pairs(values, cell, n_requests * n_clusters).reshape(-1, n_clusters).sum(1)
            return np.stack([of_all - within, within], axis=1)

        return cls(pairs(residual), pairs(variance))

    def variance(self, share_same: float) -> tuple[float, np.ndarray]:
        """Shared variance of a list's log-odds, and each request's influence on it.

        The estimates of both kinds of pairs, weighed as the pairs of the lists are and shrunk to 0
        by `PAIRS_PRIOR`.

        Args:
            share_same: of the pairs within lists, those of posts of the same cluster.

        Returns:
            The variance, at least 0, in squared logits, and influences, shape (n_requests,).
        """
        total = self.possible.sum(axis=0)
        share = np.where(total > 0, [1 - share_same, share_same], 0.0)
        if not share.sum():
            return 0.0, np.zeros(len(self.products))
        share = share / share.sum()
        weight = share / np.maximum(total, 1e-12)  # a share of 0 stays 0
        information = 1 / np.sum(share * weight)
        shrinkage = information / (information + PAIRS_PRIOR)
        by_request = self.products @ weight
        found = float(by_request.sum())
        influence = shrinkage * (by_request - found * (self.possible @ weight))
        return float(np.clip(shrinkage * found, 0.0, MOST_VARIANCE)), influence


def share_of_same(cluster: np.ndarray) -> float:
    """Share of the pairs within lists whose posts are of the same cluster; 0 for no pair.

    Args:
        cluster: of each listed post, -1 for an empty place, shape (n_lists, k).
    """
    first, second = np.triu_indices(cluster.shape[1], 1)
    a, b = cluster[:, first], cluster[:, second]
    listed = (a >= 0) & (b >= 0)
    return float(np.sum((a == b) & listed) / max(listed.sum(), 1))


def _pairs(values: np.ndarray, of: np.ndarray, n: int) -> np.ndarray:
    """Twice the sum of products over the pairs of each cell, shape (n,)."""
    return np.asarray(np.bincount(of, values, n) ** 2 - np.bincount(of, values**2, n))
