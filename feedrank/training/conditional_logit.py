"""Conditional logit: weights of the order within requests (McFadden 1974)."""

from __future__ import annotations

import numpy as np

from feedrank.stats.logistic import LogisticFit, minimise
from feedrank.training.query_groups import QueryGroups


def fit_conditional(
    design: np.ndarray, groups: QueryGroups, prior_mean: np.ndarray, prior_precision: np.ndarray
) -> LogisticFit:
    """Weights that maximise the conditional likelihood times a Gaussian prior.

    A column that does not vary within requests keeps its prior mean.

    Args:
        design: of the groups' rows, float64, shape (len(groups.row), n_columns).
        groups: rows by request.
        prior_mean: of each weight, shape (n_columns,).
        prior_precision: inverse variance of each weight, same shape.
    """
    likes = groups.of_rows(groups.n_liked)

    def loss(weights: np.ndarray) -> float:
        surprise = -groups.liked * groups.log_shares(design @ weights)
        return float(surprise.sum() + np.sum(prior_precision * (weights - prior_mean) ** 2) / 2)

    def derivatives(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        expected = likes * np.exp(groups.log_shares(design @ weights))
        slope = design.T @ (groups.liked - expected) - prior_precision * (weights - prior_mean)
        weighted = design * expected[:, None]
        total = np.add.reduceat(weighted, groups.start)
        between = total.T @ (total / groups.n_liked[:, None])
        return slope, design.T @ weighted - between + np.diag(prior_precision)

    return LogisticFit(*minimise(loss, derivatives, prior_mean))
