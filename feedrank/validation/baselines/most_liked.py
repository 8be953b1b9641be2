"""What our lists are compared with: random, most liked, and the classic solution."""

from __future__ import annotations

import numpy as np

from feedrank.state.counts.tally import Tally
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.shrinkage import base_rate
from feedrank.validation.baselines.baseline import Baseline

LIKED_PRIOR = 50.0  # impressions at the overall rate, so that one lucky like makes no best post


class MostLiked(Baseline):
    """The like rate before each moment's step, the same order for everyone or for a segment.

    Args:
        store: whose counts are read.
        by_segment: whether each segment of users has an order of its own.
        as_of: seconds since the log's origin after which nothing is known; None: the whole log.
    """

    def __init__(self, store: FeatureStore, by_segment: bool, as_of: int | None = None) -> None:
        fitted, catalogue = store.fitted, store.catalogue
        self.n_posts = len(catalogue.post_ids)
        segment = fitted.segment(catalogue.codes)
        self._segment = segment if by_segment else np.zeros_like(segment)
        self._by_segment = by_segment
        self._states = store.states
        self._seconds = fitted.step_seconds
        end = store.shared.n_steps
        self._last_step = end if as_of is None else as_of // self._seconds
        self._step, self._rate = -1, np.empty((0, 0))

    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """The rate in the steps before the moment's own."""
        return np.asarray(self._as_of(at)[self._segment[user], post])

    def _as_of(self, at: int) -> np.ndarray:
        """Rates, shape (n_segments, n_posts), or of one row; those of the last step are kept."""
        step = min(max(at // self._seconds, 0), self._last_step)
        if step != self._step:
            self._step, self._rate = step, self._rates(step)
        return self._rate

    def _rates(self, step: int) -> np.ndarray:
        counts = self._states.counts_as_of(step)
        if self._by_segment:
            return _smoothed(counts)
        return _smoothed(Tally(*(c.sum(0, keepdims=True) for c in (counts.shown, counts.liked))))


def _smoothed(counts: Tally) -> np.ndarray:
    overall = base_rate(counts.liked.sum(), counts.shown.sum())
    return np.asarray((counts.liked + LIKED_PRIOR * overall) / (counts.shown + LIKED_PRIOR))
