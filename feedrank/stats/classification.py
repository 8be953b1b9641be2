"""AUC, log loss and calibration error."""

from __future__ import annotations

import numpy as np


def auc(liked: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: probability that a liked impression outscores one not liked.

    Returns:
        The Mann-Whitney statistic over n_liked * n_not_liked, ties counted half; NaN if either
        is zero.
    """
    n_liked = int(np.sum(liked))
    n_other = len(liked) - n_liked
    if not n_liked or not n_other:
        return float("nan")
    _, of, n = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(n) - (n - 1) / 2)[of]  # of equal scores, their mean
    return float(
        (ranks[liked.astype(bool)].sum() - n_liked * (n_liked + 1) / 2) / n_liked / n_other
    )


def log_loss(liked: np.ndarray, probability: np.ndarray) -> float:
    """Mean of -log of the probability of the label; NaN for no impressions."""
    if not len(liked):
        return float("nan")
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(liked.astype(bool), np.log(p), np.log1p(-p))))


def calibration_error(liked: np.ndarray, probability: np.ndarray, bins: int = 20) -> float:
    """Expected calibration error over bins of equal shares of rows (Naeini et al. 2015).

    Returns:
        sum over bins of n_bin / n * |mean probability - like rate|; NaN for no impressions.
    """
    if not len(liked):
        return float("nan")
    order = np.argsort(probability, kind="stable")
    gaps = [
        abs(float(np.sum(probability[p], dtype=np.float64)) - float(np.sum(liked[p])))
        for p in np.array_split(order, bins)
    ]
    return sum(gaps) / len(liked)
