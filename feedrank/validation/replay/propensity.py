"""Propensity of a post in a segment: how often the feed shows the post to these users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.fitted import FittedParameters
from feedrank.stats.shrinkage import fit_strength

# Cells of a segment and a post that a prior strength is fitted on: one number from so many cells
# has no error that matters, and the reference installation has 35,000 to 140,000.
MOST_CELLS = 200_000


@dataclass(frozen=True)
class Propensity:
    """Share of each post in the impressions of each segment.

    Attributes:
        share: rows add up to 1, shape (n_segments, n_posts).
    """

    share: np.ndarray

    @classmethod
    def estimate(
        cls, by_post: StepCounts, fitted: FittedParameters, since: int, until: int
    ) -> Propensity:
        """Empirical-Bayes shares of the steps [since, until), shrunk in three stages.

        The share of a post in all segments is shrunk to that of an average post, the share in a
        segment before the period to the share in all segments, and the share in the period to the
        one before. Impressions are no labels, so the period's own may be used.
        """
        shape = (fitted.n_segments, fitted.n_posts)
        previous = by_post.before(since).shown.reshape(shape)
        now = by_post.before(until, since).shown.reshape(shape)
        in_all = (previous + now).sum(0, keepdims=True)
        overall = _shrunk(in_all, _shares(in_all > 0))
        return cls(_shrunk(now, _shrunk(previous, overall)))

    def relative(self, segment: np.ndarray, post: np.ndarray) -> np.ndarray:
        """Share over that of an average post which is shown at all, 1 for an average one, (n,).

        Args:
            segment: of the user of each impression, shape (n,).
            post: row of the post of each impression, shape (n,).
        """
        n_shown = np.maximum((self.share > 0).sum(1), 1)
        return np.asarray(self.share[segment, post] * n_shown[segment])


def _shrunk(shown: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Shares from counts, shrunk to prior shares by the strength of the highest likelihood."""
    total = shown.sum(1, keepdims=True)
    expected = total * prior
    known = np.flatnonzero(expected > 0)
    some = known[:: max(1, len(known) // MOST_CELLS)]
    counts, means = shown.ravel()[some].astype(float), expected.ravel()[some]
    strength = fit_strength(counts, np.broadcast_to(total, shown.shape).ravel()[some], means)
    return _shares(prior * (shown + strength) / (expected + strength))


def _shares(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / np.maximum(weights.sum(1, keepdims=True), 1e-12))  # no 0 / 0
