"""What is asked and answered of late, against the artifact's own snapshot."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import GOLDEN
from feedrank.ranking.recommender import Ranked
from feedrank.stats.drift import effective_posts, stability_index
from service.ab.assignment import Group
from service.monitoring import metrics

WINDOW = 2_000  # requests
RATE_BANDS = 5


@dataclass(frozen=True)
class Snapshot:
    """What the artifact knew when it was made.

    Attributes:
        shares: of the log's impressions by code of each profile column.
        rate_edges: between bands of predicted rates that the golden lists fill evenly.
        rate: mean predicted rate of the golden lists.
        effective_posts: of the golden lists.
    """

    shares: tuple[np.ndarray, ...]
    rate_edges: np.ndarray
    rate: float
    effective_posts: float

    @classmethod
    def of(cls, artifact: Artifact) -> Snapshot:
        """The snapshot of a loaded artifact."""
        store = artifact.store
        per_user = np.diff(store.history.offsets)
        golden = json.loads((artifact.directory / GOLDEN).read_text())
        rates = np.array([p for g in golden for p in g["probability"]])
        posts = np.array([p for g in golden for p in g["post"]], dtype=np.int64)
        counts = [
            np.bincount(store.catalogue.codes[:, i], per_user, column.n_codes)
            for i, column in enumerate(store.columns)
        ]
        return cls(
            tuple(c / max(c.sum(), 1) for c in counts),
            np.quantile(rates, np.arange(1, RATE_BANDS) / RATE_BANDS),
            float(rates.mean()),
            effective_posts(posts),
        )


class Drift:
    """The last requests that one artifact answered, and how unlike its snapshot they are.

    Args:
        group: of the comparison.
        artifact: that answers.
    """

    def __init__(self, group: Group, artifact: Artifact) -> None:
        self._group = group
        self._store = artifact.store
        self._snapshot = Snapshot.of(artifact)
        self._users: deque[int] = deque(maxlen=WINDOW)
        self._posts: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._rates: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._uncounted: list[int] = []

    def observe(self, user: int, ranked: Ranked) -> None:
        """Take note of one request and its list."""
        self._users.append(user)
        self._posts.append(ranked.post)
        self._rates.append(ranked.probability)
        self._uncounted.append(user)

    def publish(self) -> None:
        """Bring the metrics up to date; called every few seconds."""
        self._count_users()
        if not self._users:
            return
        users = np.fromiter(self._users, dtype=np.int64)
        for i, column in enumerate(self._store.columns):
            asked = self._count(users, i)
            psi = stability_index(asked, self._snapshot.shares[i])
            metrics.DRIFT.labels(self._group, column.name).set(psi)
        self._publish_answers()

    def _publish_answers(self) -> None:
        group, snapshot = self._group, self._snapshot
        rates, posts = np.concatenate(self._rates), np.concatenate(self._posts)
        if not len(posts):
            return
        bands = np.bincount(np.searchsorted(snapshot.rate_edges, rates), minlength=RATE_BANDS)
        even = np.full(RATE_BANDS, 1 / RATE_BANDS)
        metrics.DRIFT.labels(group, "predicted_rate").set(stability_index(bands, even))
        metrics.PREDICTED.labels(group, "answers").set(float(rates.mean()))
        metrics.PREDICTED.labels(group, "snapshot").set(snapshot.rate)
        metrics.EFFECTIVE.labels(group, "answers").set(effective_posts(posts))
        metrics.EFFECTIVE.labels(group, "snapshot").set(snapshot.effective_posts)
        share = len(np.unique(posts)) / len(self._store.catalogue.post_ids)
        metrics.CATALOGUE.labels(group).set(share)

    def _count_users(self) -> None:
        users, self._uncounted = np.array(self._uncounted, dtype=np.int64), []
        for i, column in enumerate(self._store.columns):
            counted = self._count(users, i)
            for code in np.flatnonzero(counted).tolist():
                counter = metrics.ASKED.labels(self._group, column.name, column.label(code))
                counter.inc(int(counted[code]))

    def _count(self, users: np.ndarray, column: int) -> np.ndarray:
        codes = self._store.catalogue.codes[users, column]
        return np.bincount(codes, minlength=self._store.columns[column].n_codes)
