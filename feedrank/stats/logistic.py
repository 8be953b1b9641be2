"""Newton's method, and logistic regression with a Gaussian prior by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

import numpy as np
from scipy.special import expit, logit

# Newton's method doubles the number of right digits with each step near the optimum: logs so far
# took 4 to 9 steps. The gain is one of the log posterior, which has no unit.
NEWTON_STEPS, LEAST_GAIN = 30, 1e-6
FLAT = 1e-6  # precision of a prior: as good as none
LEAST_SCALE = 0.1  # of scores; float32 still tells their order
# Rows of a design that are float64 at once: of half a million rows and 64 columns a product of all
# would take 256 MB, and twice the time.
BLOCK = 1 << 15


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
        design: float32 or float64, shape (n_rows, n_columns); sums are float64.
        liked: labels, 0 or 1, shape (n_rows,).
        prior_mean: of each weight, shape (n_columns,).
        prior_precision: inverse variance of each weight, same shape.
        offset: log-odds of each row that no weight scales.
        row_weight: how many times each row counts.
    """
    n = len(design)
    columns = (liked, np.broadcast_to(offset, n), np.broadcast_to(row_weight, n))

    def blocks() -> Iterator[tuple[np.ndarray, ...]]:
        """Rows, labels, offsets and weights, some at a time."""
        for first in range(0, n, BLOCK):
            some = slice(first, first + BLOCK)
            yield design[some].astype(np.float64, copy=False), *(column[some] for column in columns)

    def loss(weights: np.ndarray) -> float:
        total = np.sum(prior_precision * (weights - prior_mean) ** 2) / 2
        for rows, label, known, count in blocks():
            log_odds = known + rows @ weights
            total += np.sum(count * (np.logaddexp(0, log_odds) - label * log_odds))
        return float(total)

    def derivatives(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope, hessian = -prior_precision * (weights - prior_mean), np.diag(prior_precision)
        for rows, label, known, count in blocks():
            p = expit(known + rows @ weights)
            slope = slope + rows.T @ (count * (label - p))
            hessian = hessian + rows.T @ (rows * (count * p * (1 - p))[:, None])
        return slope, hessian

    return LogisticFit(*minimise(loss, derivatives, prior_mean))


def platt(score: np.ndarray, liked: np.ndarray) -> tuple[float, float]:
    """Scale and intercept that turn scores into log-odds (Platt 1999).

    Lists of few likes may hold the better posts, which alone would turn the order round: the scale
    stays positive.
    """
    both = np.column_stack([score, np.ones(len(liked))])
    slope = fit_logistic(both, liked, np.array([1.0, 0.0]), np.full(2, FLAT)).weights[0]
    scale = max(float(slope), LEAST_SCALE)
    return scale, level_of(scale * score, liked)


def level_of(score: np.ndarray, liked: np.ndarray) -> float:
    """Intercept by which scores are as high as likes."""
    ones = np.ones((len(liked), 1))
    return float(fit_logistic(ones, liked, np.zeros(1), np.full(1, FLAT), score).weights[0])


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
