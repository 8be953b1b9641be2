"""How much the likes of one request hang together, found from pairs of its impressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAIRS_PRIOR = 250.0  # drawn to no dependence until pairs weigh so much: its spread is then 0.3
MOST_VARIANCE = 1.0


@dataclass(frozen=True)
class Dependence:
    """Sums over the pairs of each request: posts of two clusters first, then posts of the same one.

    Of two impressions of a request, whose log-odds share a variance sigma^2, the product of
    residuals has mean sigma^2 v1 v2, v = p (1 - p). Posts of the same cluster share more: a taste
    for the cluster that no profile tells.

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
        spread: np.ndarray,
        n_requests: int,
    ) -> Dependence:
        """From impressions.

        Args:
            request: row of the request of each, shape (n,).
            cluster: of its post, whole numbers from 0, shape (n,).
            residual: whether it was liked, less its chance, shape (n,).
            spread: variance of the residual, shape (n,).
            n_requests: requests, those without impressions included.
        """
        n_clusters = int(cluster.max(initial=0)) + 1
        cell = request * n_clusters + cluster

        def pairs(values: np.ndarray) -> np.ndarray:
            of_all = _pairs(values, request, n_requests)
            within = _pairs(values, cell, n_requests * n_clusters).reshape(-1, n_clusters).sum(1)
            return np.stack([of_all - within, within], axis=1)

        return cls(pairs(residual), pairs(spread))

    def variance(self, share_same: float) -> tuple[float, np.ndarray]:
        """Shared variance of lists, and how each request moved it, shape (n_requests,).

        Args:
            share_same: of the pairs within lists, those of posts of the same cluster.
        """
        total = self.possible.sum(axis=0)
        share = np.where(total > 0, [1 - share_same, share_same], 0.0)
        if not share.sum():
            return 0.0, np.zeros(len(self.products))
        share = share / share.sum()
        weight = share / np.maximum(total, 1e-12)
        information = 1 / np.sum(share * weight)
        drawn = information / (information + PAIRS_PRIOR)
        by_request = self.products @ weight
        found = float(by_request.sum())
        moved = drawn * (by_request - found * (self.possible @ weight))
        return float(np.clip(drawn * found, 0.0, MOST_VARIANCE)), moved


def share_of_same(cluster: np.ndarray) -> float:
    """Share of the pairs within lists whose posts are of the same cluster; 0 for no pair.

    Args:
        cluster: of each listed post, -1 for an empty place, shape (n_lists, k).
    """
    k = cluster.shape[1]
    first, second = np.triu_indices(k, 1)
    a, b = cluster[:, first], cluster[:, second]
    listed = (a >= 0) & (b >= 0)
    return float(np.sum((a == b) & listed) / max(listed.sum(), 1))


def _pairs(values: np.ndarray, of: np.ndarray, n: int) -> np.ndarray:
    """Twice the sum of products over the pairs of each cell, shape (n,)."""
    return np.asarray(np.bincount(of, values, n) ** 2 - np.bincount(of, values**2, n))
