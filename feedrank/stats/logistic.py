"""Newton's method, and logistic regression with a Gaussian prior by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
from scipy.special import expit, logit

# Newton's method doubles the number of right digits with each step near the optimum: logs so far
# took 4 to 9 steps. The gain is one of the log posterior, which has no unit.
NEWTON_STEPS, LEAST_GAIN = 30, 1e-6
FLAT = 1e-6  # precision of a prior: as good as none
LEAST_SCALE = 0.1  # of scores; float32 still tells their order


@dataclass(frozen=True)
class LogisticFit:
    """Posterior mode of a logistic regression.

    Attributes:
        weights: the mode, shape (n_columns,).
        curvature: negative Hessian of the log posterior there, shape (n_columns, n_columns); its
            inverse is the covariance of the Laplace approximation.
    """

    weights: np.ndarray
    curvature: np.ndarray


def fit_logistic(
    design: np.ndarray,
    liked: np.ndarray,
    prior_mean: np.ndarray,
    prior_precision: np.ndarray,
    offset: np.ndarray | float = 0.0,
    row_weight: np.ndarray | float = 1.0,
) -> LogisticFit:
    """Weights that maximise the likelihood of labels times a Gaussian prior.

    Args:
        design: shape (n_rows, n_columns).
        liked: labels, 0 or 1, shape (n_rows,).
        prior_mean: of each weight, shape (n_columns,).
        prior_precision: inverse variance of each weight, same shape.
        offset: log-odds of each row that no weight scales.
        row_weight: how many times each row counts.
    """

    def loss(weights: np.ndarray) -> float:
        log_odds = offset + design @ weights
        surprise = np.sum(row_weight * (np.logaddexp(0, log_odds) - liked * log_odds))
        return float(surprise + np.sum(prior_precision * (weights - prior_mean) ** 2) / 2)

    def derivatives(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = expit(offset + design @ weights)
        slope = design.T @ (row_weight * (liked - p)) - prior_precision * (weights - prior_mean)
        spread = (row_weight * p * (1 - p))[:, None]
        return slope, design.T @ (design * spread) + np.diag(prior_precision)

    return LogisticFit(*minimise(loss, derivatives, prior_mean))


def platt(score: np.ndarray, liked: np.ndarray) -> tuple[float, float]:
    """Scale and intercept that turn scores into log-odds (Platt 1999).

    Lists of few likes may hold the better posts, which alone would turn the order round: the scale
    stays positive.
    """
    flat, ones = np.full(1, FLAT), np.ones((len(liked), 1))
    both = np.column_stack([score, ones])
    slope = fit_logistic(both, liked, np.array([1.0, 0.0]), np.repeat(flat, 2)).weights[0]
    scale = max(float(slope), LEAST_SCALE)
    return scale, float(fit_logistic(ones, liked, np.zeros(1), flat, scale * score).weights[0])


def minimise(
    loss: Callable[[np.ndarray], float],
    derivatives: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of least loss, shape (n,), and the loss's Hessian there, shape (n, n).

    Boyd and Vandenberghe, Convex Optimization, section 9.5: far from the optimum, a whole Newton
    step can diverge.

    Args:
        loss: of weights, shape (n,).
        derivatives: of the same, the negative gradient, shape (n,), and the Hessian, shape (n, n).
        start: first weights.
    """
    weights, lowest, hessian = start, loss(start), np.zeros((len(start), len(start)))
    for _ in range(NEWTON_STEPS):
        slope, hessian = derivatives(weights)
        step = np.linalg.solve(hessian, slope)
        if slope @ step < LEAST_GAIN:
            break
        while (found := loss(weights + step)) > lowest:
            step = step / 2
        weights, lowest = weights + step, found
    return weights, hessian


def log_odds_of(probability: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, clipped to +-13.8: a float32 probability may round to 0 or 1."""
    return np.asarray(logit(np.clip(probability, 1e-6, 1 - 1e-6).astype(np.float64)))
