"""Drift monitor: recent requests and answers against the artifact's own reference."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.log.exposures import Arm
from feedrank.ranking.recommender import Ranked
from feedrank.stats.drift import effective_posts, stability_index
from service.monitoring import metrics

WINDOW = 2_000  # requests; the index of n equal draws over b bands is about b / n, far below 0.1
RATE_BANDS = 5  # golden lists hold some hundred posts: dozens a band


@dataclass(frozen=True)
class Reference:
    """Statistics of the artifact that recent requests are compared with.

    Attributes:
        shares: of the log's impressions by code, an array for each profile column.
        rate_edges: between bands of predicted rates that the golden lists fill evenly.
        rate: mean predicted rate of the golden lists.
        effective_posts: of the golden lists.
    """

    shares: tuple[np.ndarray, ...]
    rate_edges: np.ndarray
    rate: float
    effective_posts: float

    @classmethod
    def of(cls, artifact: Artifact) -> Reference:
        """The reference of a loaded artifact."""
        store, golden = artifact.store, artifact.golden
        n_shown = store.history.n_shown
        rates = np.concatenate([g["probability"] for g in golden])
        counts = [
            np.bincount(store.catalogue.codes[:, i], n_shown, column.n_codes)
            for i, column in enumerate(store.columns)
        ]
        return cls(
            tuple(c / max(c.sum(), 1) for c in counts),
            np.quantile(rates, np.arange(1, RATE_BANDS) / RATE_BANDS),
            float(rates.mean()),
            effective_posts(np.concatenate([g["post"] for g in golden])),
        )


class Drift:
    """The last requests that one artifact answered, compared with its reference.

    Args:
        arm: of the A/B test.
        artifact: that answers.
    """

    def __init__(self, arm: Arm, artifact: Artifact) -> None:
        self._arm = arm
        self._columns = artifact.store.columns
        self._reference = Reference.of(artifact)
        self._profiles: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._lists: deque[Ranked] = deque(maxlen=WINDOW)
        self._uncounted: list[np.ndarray] = []

    def observe(self, profile: np.ndarray, ranked: Ranked) -> None:
        """Add one request and its list.

        Args:
            profile: codes of the user's profile, shape (n_columns,).
            ranked: the list.
        """
        profile = profile.copy()  # or those of all users would stay with it
        self._profiles.append(profile)
        self._lists.append(ranked)
        self._uncounted.append(profile)

    def publish(self, n_posts: int) -> None:
        """Update the metrics; called every few seconds.

        Args:
            n_posts: of the artifact, with those that have come since.
        """
        self._publish_profiles()
        if sum(len(ranked.post) for ranked in self._lists):
            self._publish_lists(n_posts)

    def _publish_profiles(self) -> None:
        new, self._uncounted = self._table(self._uncounted), []
        profiles = self._table(self._profiles)
        for i, column in enumerate(self._columns):
            for code, n in enumerate(np.bincount(new[:, i]).tolist()):
                if n:
                    metrics.PROFILES.labels(self._arm, column.name, column.label(code)).inc(n)
            if len(profiles):
                counts = np.bincount(profiles[:, i], minlength=column.n_codes)
                psi = stability_index(counts, self._reference.shares[i])
                metrics.DRIFT.labels(self._arm, column.name).set(psi)

    def _table(self, profiles: Collection[np.ndarray]) -> np.ndarray:
        return np.array(profiles, np.int64).reshape(len(profiles), len(self._columns))

    def _publish_lists(self, n_posts: int) -> None:
        arm, reference = self._arm, self._reference
        rates = np.concatenate([ranked.probability for ranked in self._lists])
        posts = np.concatenate([ranked.post for ranked in self._lists])
        bands = np.bincount(np.searchsorted(reference.rate_edges, rates), minlength=RATE_BANDS)
        even = np.full(RATE_BANDS, 1 / RATE_BANDS)
        metrics.DRIFT.labels(arm, "predicted_rate").set(stability_index(bands, even))
        metrics.PREDICTED.labels(arm, "answers").set(float(rates.mean()))
        metrics.PREDICTED.labels(arm, "reference").set(reference.rate)
        metrics.EFFECTIVE.labels(arm, "answers").set(effective_posts(posts))
        metrics.EFFECTIVE.labels(arm, "reference").set(reference.effective_posts)
        metrics.CATALOGUE.labels(arm).set(len(np.unique(posts)) / n_posts)
