"""Features of the LightGBM baselines: plain counts and rates as of a step, none of ours."""

from __future__ import annotations

import numpy as np

from feedrank.log.metadata import hour_of_day
from feedrank.state.feature_store import FeatureStore

WINDOWS = (1, 6, 24, 168)  # hours before the step that are counted apart, beside all
PRIOR = 10.0  # impressions that pull a rate to the overall one; trees split on counts as well


class PeerFeatures:
    """What a log tells about a user and posts before a step.

    Post: likes, impressions and rate of each window and of all; age since its first impression.
    User: impressions, rate; the same within the topic of the post, and of the very post; profile.

    Args:
        store: whose histories and profile codes are read.
    """

    def __init__(self, store: FeatureStore) -> None:
        _, post, step, liked = store.history.columns()
        order = np.argsort(step, kind="stable")
        self._post, self._liked = post[order], liked[order]
        self._events = step[order].astype(np.int64)
        self._store = store
        self.n_posts, self._seconds = len(store.catalogue.post_ids), store.fitted.step_seconds
        self._topic = np.asarray(store.fitted.topic)
        self._codes = np.asarray(store.catalogue.codes)
        hours = self._seconds / 3600
        self._windows = sorted({max(1, round(w / hours)) for w in WINDOWS})
        self._first = np.full(self.n_posts, np.iinfo(np.int64).max)
        np.minimum.at(self._first, self._post, self._events)
        self._now, self._of_posts, self._rate = -1, np.empty((0, 0)), 0.0
        self._counted, self._total = 0, np.zeros((2, self.n_posts))

    @property
    def categories(self) -> list[int]:
        """Columns of `matrix` that are codes: profile, then topic, the last ones."""
        width = self.matrix(0, 0, 0, np.arange(1)).shape[1]
        return list(range(width - self._codes.shape[1] - 1, width))

    def matrix(self, user: int, at: int, step: int, post: np.ndarray) -> np.ndarray:
        """Features of some posts, float32, shape (n, n_features).

        Args:
            user: row of the user.
            at: seconds since the log's origin: gives the hour.
            step: nothing of it or later is read.
            post: rows of posts, shape (n,).
        """
        if step != self._now:
            self._now, self._of_posts = step, self._posts_at(step)
        shown, _, liked = self._store.history.before(user, step)
        of_topic = self._topic[shown]
        n_topics = int(self._topic.max(initial=0)) + 1
        topics = (np.bincount(of_topic, w, n_topics)[self._topic[post]] for w in (liked, None))
        pairs = (np.bincount(shown, w, self.n_posts)[post] for w in (liked, None))
        topic_likes, topic_shown = topics
        alike = (
            hour_of_day(np.asarray(at)),
            len(shown),
            self._smoothed(liked.sum(), len(shown)),
            *self._codes[user],
        )
        n, plain = len(post), len(alike) - self._codes.shape[1]
        columns = [*pairs, topic_likes, topic_shown, self._smoothed(topic_likes, topic_shown)]
        own = np.stack(columns, axis=1)
        repeated = np.broadcast_to(np.array(alike, dtype=np.float64), (n, len(alike)))
        parts = (self._of_posts[post], own, repeated[:, :plain], repeated[:, plain:])
        return np.hstack([*parts, self._topic[post][:, None]]).astype(np.float32)

    def _posts_at(self, step: int) -> np.ndarray:
        """Columns of posts as of a step, shape (n_posts, 3 * (n_windows + 1) + 1)."""
        last = int(np.searchsorted(self._events, step))
        if last < self._counted:
            self._counted, self._total = 0, np.zeros((2, self.n_posts))
        self._total += self._counts(self._counted, last)
        self._counted = last
        likes, shown = self._total.sum(axis=1)
        self._rate = float((likes + 1) / (shown + PRIOR))
        firsts = np.searchsorted(self._events, [step - window for window in self._windows])
        counts = [self._total, *(self._counts(int(first), last) for first in firsts)]
        columns = [c for lk, n in counts for c in (lk, n, self._smoothed(lk, n))]
        age = np.where(self._first < step, (step - self._first) * self._seconds / 3600.0, np.nan)
        return np.stack([*columns, age], axis=1)

    def _counts(self, first: int, last: int) -> np.ndarray:
        """Likes and impressions of each post among some events, shape (2, n_posts)."""
        post, liked = self._post[first:last], self._liked[first:last]
        return np.stack([np.bincount(p, minlength=self.n_posts) for p in (post[liked], post)])

    def _smoothed(self, likes: np.ndarray | float, shown: np.ndarray | float) -> np.ndarray:
        return np.asarray((likes + PRIOR * self._rate) / (shown + PRIOR))
