"""What some users were shown, impression by impression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.feature_store import FeatureStore


@dataclass(frozen=True)
class Viewed:
    """Impressions of some users, user by user, each user's in order of time.

    Attributes:
        user: row of the user among all, shape (n,).
        place: place of the user among these, shape (n,).
        segment: of the user, shape (n,).
        post: shape (n,).
        step: shape (n,).
        liked: bool, shape (n,).
    """

    user: np.ndarray
    place: np.ndarray
    segment: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray

    @classmethod
    def of(cls, store: FeatureStore, users: np.ndarray, until: int) -> Viewed:
        """Histories of the given users before a step."""
        parts = [store.history.before(int(user), until) for user in users]
        place = np.repeat(np.arange(len(users)), [len(post) for post, _, _ in parts])
        post, step, liked = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in range(3))
        segment = store.fitted.segment(np.asarray(store.catalogue.codes)[users])
        return cls(users[place], place, segment[place], post.astype(np.int64),
                   step.astype(np.int64), liked.astype(bool))  # fmt: skip

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: np.ndarray) -> Viewed:
        return Viewed(*(column[rows] for column in vars(self).values()))
