"""How often the feed shows a post to a segment of users: the propensity of its impressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.fitted import FittedParameters
from feedrank.stats.shrinkage import fit_strength

MOST_KEYS = 200_000  # cells that a prior weight is fitted on


@dataclass(frozen=True)
class Exposure:
    """Shares of impressions.

    Attributes:
        share: of each post within a segment, rows add up to 1, shape (n_segments, n_posts).
    """

    share: np.ndarray

    @classmethod
    def estimate(
        cls, by_post: StepCounts, fitted: FittedParameters, since: int, until: int
    ) -> Exposure:
        """From the impressions of the steps [since, until), drawn to what was shown before.

        A post's share is drawn to that of an average post, a segment's to the post's among all,
        and the period's to the former, each as strongly as the counts agree: exposure is no label,
        so a period may know its own.
        """
        shape = (fitted.n_segments, fitted.n_posts)
        former = by_post.before(since).shown.reshape(shape)
        now = by_post.before(until, since).shown.reshape(shape)
        everyone = (former + now).sum(0, keepdims=True)
        overall = _drawn(everyone, _shares(everyone > 0))
        return cls(_drawn(now, _drawn(former, overall)))

    def relative(self, segment: np.ndarray, post: np.ndarray) -> np.ndarray:
        """Share over that of an average post that is shown at all: 1 for an average one."""
        n_shown = np.maximum((self.share > 0).sum(1), 1)
        return np.asarray(self.share[segment, post] * n_shown[segment])


def _drawn(shown: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Shares from counts, drawn to usual shares by as many impressions as likelihood says."""
    total = shown.sum(1, keepdims=True)
    expected = total * usual
    known = np.flatnonzero((expected > 0).ravel())
    some = known[:: max(1, len(known) // MOST_KEYS)]
    counts, means = shown.ravel()[some].astype(float), expected.ravel()[some]
    strength = fit_strength(counts, np.broadcast_to(total, shown.shape).ravel()[some], means)
    return _shares(usual * (shown + strength) / (expected + strength))


def _shares(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / np.maximum(weights.sum(1, keepdims=True), 1e-12))
