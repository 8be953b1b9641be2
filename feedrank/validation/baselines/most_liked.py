"""Most liked baseline: posts by smoothed like rate, of everyone or of the user's segment."""

from __future__ import annotations

import numpy as np

from feedrank.state.feature_store import FeatureStore
from feedrank.stats.shrinkage import base_rate
from feedrank.validation.baselines.baseline import Popularity

# Prior strength in impressions. Any value from 20 to 200 has a true hit rate within .007 of that of
# 50, on two networks of the demo's size (seeds 20 and 21), of everyone and by segment.
LIKED_PRIOR = 50.0


class MostLiked(Popularity):
    """The like rate before each moment's step, the same order for everyone or for a segment.

    Args:
        store: whose counts are read.
        by_segment: whether each segment of users has an order of its own.
        as_of: seconds since the log's origin at which the counts are frozen; None: they are fresh.
    """

    def __init__(self, store: FeatureStore, by_segment: bool, as_of: int | None = None) -> None:
        segment = store.fitted.segment(store.catalogue.codes)
        super().__init__(store, segment if by_segment else np.zeros_like(segment), as_of)
        self._by_segment = by_segment

    def scores(self, step: int) -> np.ndarray:
        """Rates as of a step, shape (n_segments, n_posts), or (1, n_posts) for everyone.

        Alike for segments that the step does not tell apart.
        """
        counts = self.store.states.counts_as_of(step)
        counts = counts if self._by_segment else counts.merged(1)
        overall = base_rate(counts.liked.sum(), counts.shown.sum())
        rates = (counts.liked + LIKED_PRIOR * overall) / (counts.shown + LIKED_PRIOR)
        n_alike = self.store.fitted.n_segments // len(rates) if self._by_segment else 1
        return np.repeat(rates, n_alike, axis=0)
