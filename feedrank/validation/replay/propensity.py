"""Propensity of a post in a stratum: how often the feed shows the post to these users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.stats.shrinkage import fit_strength


@dataclass(frozen=True)
class Propensity:
    """Share of each post in the impressions of each stratum.

    Attributes:
        share: rows add up to 1, shape (n_strata, n_posts).
    """

    share: np.ndarray

    @classmethod
    def estimate(cls, previous: np.ndarray, now: np.ndarray) -> Propensity:
        """Empirical-Bayes shares of a period, shrunk in three stages.

        The share of a post in all strata is shrunk to that of an average post, the share in a
        stratum before the period to the share in all strata, and the share in the period to the
        one before. Impressions are no labels, so the period's own may be used.

        Args:
            previous: impressions before the period, shape (n_strata, n_posts).
            now: of the period, same shape.
        """
        in_all = (previous + now).sum(0, keepdims=True)
        overall = _shrunk(in_all, _shares(in_all > 0))
        return cls(_shrunk(now, _shrunk(previous, overall)))

    def relative(self, stratum: np.ndarray, post: np.ndarray) -> np.ndarray:
        """Share over that of an average post which is shown at all, 1 for an average one, (n,).

        Args:
            stratum: of the user of each impression, shape (n,).
            post: row of the post of each impression, shape (n,).
        """
        n_shown = np.maximum((self.share > 0).sum(1), 1)
        return np.asarray(self.share[stratum, post] * n_shown[stratum])


def _shrunk(shown: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Shares from counts, shrunk to prior shares by the strength of the highest likelihood."""
    total = shown.sum(1, keepdims=True)
    expected = total * prior
    known = np.flatnonzero(expected > 0)
    counts, means = shown.ravel()[known].astype(float), expected.ravel()[known]
    strength = fit_strength(counts, np.broadcast_to(total, shown.shape).ravel()[known], means)
    return _shares(prior * (shown + strength) / (expected + strength))


def _shares(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / np.maximum(weights.sum(1, keepdims=True), 1e-12))  # no 0 / 0
