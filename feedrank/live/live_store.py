"""Live store: an artifact's feature store that follows the network by what the delta log holds."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from feedrank.live.delta_rows import Changes
from feedrank.live.events import Events, HiddenPost, NewPost, NewUser
from feedrank.live.layered_catalogue import LayeredCatalogue, LayeredTexts
from feedrank.live.layered_counts import LayeredCounts
from feedrank.live.layered_history import LayeredHistory
from feedrank.live.new_posts import fitted_with
from feedrank.live.profile_codes import ProfileCoding
from feedrank.state.catalogue import Id
from feedrank.state.feature_store import FeatureStore
from feedrank.state.plugins.pairs import Pairs
from feedrank.state.shared import SharedCounts

# Events of users or posts whose own row has not come yet, the latest: 5 MB. An unlimited number of
# events with ids that nobody has would fill the memory.
MOST_WAITING = 100_000


class LiveStore:
    """A feature store that grows by events; a `store` that it gave stays as it was.

    Its answers have the bits of a store that is counted from the whole log with the same fitted
    parameters, whatever the order and batching of events. Events at or before the log's last second
    are left to the next artifact, and counted in `n_late`.

    Args:
        log: store of the artifact.
        like_window: `source.like_window` in seconds; None: a like apart is of the last impression
            of its user and post, however long ago.
        settles: whether shared states that rows have changed stay as they were until
            `store().states.settle()`, since deriving one takes as long as dozens of requests.
    """

    def __init__(
        self, log: FeatureStore, like_window: int | None = None, settles: bool = False
    ) -> None:
        self.n_late, self._settles = 0, settles
        self._log, self._n_log_steps = log.meta, log.shared.n_steps
        self._origin = timegm(log.meta.origin_at.timetuple())
        self._topics = {log.topic[row]: int(code) for row, code in enumerate(log.fitted.topic)}
        self._waiting: list[Events] = []
        self._hidden: dict[Id, bool | None] = {}
        self._catalogue = LayeredCatalogue.over(log.catalogue)
        self._coding = ProfileCoding.of_store(log)
        self._text, self._topic = (LayeredTexts(**vars(t)) for t in (log.text, log.topic))
        self._history = LayeredHistory.over(
            log.history, log.meta, log.fitted.step_seconds, like_window
        )
        self._by_post = LayeredCounts.over(log.shared.by_post, log.fitted.n_segments)
        self._by_column = LayeredCounts.over(log.shared.by_column[-1], 1)
        self._by_key = tuple(LayeredCounts.over(own, 1) for own in log.shared.by_key)
        self._store = log
        self._follow()

    def store(self) -> FeatureStore:
        """The feature store with all that was applied."""
        return self._store

    def apply(
        self,
        events: Events | None = None,
        posts: Iterable[NewPost] = (),
        users: Iterable[NewUser] = (),
        hidden: Iterable[HiddenPost] = (),
    ) -> bool:
        """Add what has come; what is there already adds nothing. Returns whether the store changed.

        Args:
            events: in any order; those of users or posts that are not known yet wait for them.
            posts: in the order of the delta log, which is that of their rows.
            users: likewise.
            hidden: likewise; the last one of a post holds.
        """
        before = self._store
        self._hidden |= {h.post_id: h.is_hidden for h in hidden}
        self._add_users(users)
        self._add_posts(posts)
        self._hide()
        arrived = [] if events is None or not len(events) else [events]
        if arrived or (self._waiting and self._store is not before):
            self._add_events([*self._waiting, *arrived])
        return self._store is not before

    def _add_users(self, users: Iterable[NewUser]) -> None:
        catalogue = self._catalogue.with_users(users, self._coding)
        if catalogue is not self._catalogue:
            n_users = len(catalogue.user_ids)
            self._catalogue = catalogue
            self._history = replace(self._history, n_users=n_users)
            self._follow(meta=replace(self._store.meta, n_users=n_users))

    def _add_posts(self, posts: Iterable[NewPost]) -> None:
        self._catalogue, new = self._catalogue.with_posts(posts)
        if new:
            n_posts = len(self._catalogue.post_ids)
            self._by_post = self._by_post.with_columns_added(n_posts)
            self._text = self._text.followed_by(post.text for post in new)
            self._topic = self._topic.followed_by(post.topic for post in new)
            self._follow(
                meta=replace(self._store.meta, n_posts=n_posts),
                fitted=fitted_with(self._store.fitted, new, self._topics),
            )

    def _hide(self) -> None:
        catalogue = self._catalogue.with_hidden(self._hidden)
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._follow()

    def _add_events(self, parts: list[Events]) -> None:
        events = Events.joined(parts)
        user, post = self._catalogue.rows_of(events.user_id, events.post_id)
        at = events.at - self._origin
        is_new, is_known = at > self._log.last_at, (user >= 0) & (post >= 0)
        self.n_late += int(np.count_nonzero(~is_new))
        waiting = np.flatnonzero(is_new & ~is_known)[-MOST_WAITING:]
        self._waiting = [events[waiting]] if len(waiting) else []
        rows = np.flatnonzero(is_new & is_known)
        later, changes = self._history.later.joined(
            user[rows], post[rows], at[rows], events.kind[rows]
        )
        self._history = replace(self._history, later=later)
        if len(changes.user):
            self._count(changes)

    def _count(self, changes: Changes) -> None:
        fitted, meta = self._store.fitted, self._store.meta
        step = changes.at // fitted.step_seconds
        codes = self._catalogue.codes[changes.user]
        key = fitted.segment(codes) * fitted.n_posts + changes.post
        self._by_post = self._by_post.with_rows(step, key, changes)
        cluster = fitted.refits[-1].clusters.cluster[changes.post]
        keys = fitted.column_keys(codes, cluster, fitted.n_clusters)
        n = keys.shape[1]
        self._by_column = self._by_column.with_rows(
            np.repeat(step, n), keys.ravel(), changes.repeated(n)
        )
        pairs = Pairs(fitted, self._catalogue.codes, changes.user, changes.post, changes.at)
        own = zip(self._by_key, fitted.plugins.counts.values(), strict=True)
        self._by_key = tuple(c.with_rows(step, count.keys(pairs), changes) for c, count in own)
        meta = replace(
            meta,
            last_at=max(meta.last_at, int(changes.at.max())),
            n_impressions=meta.n_impressions + int(changes.shown.sum()),
            n_likes=meta.n_likes + int(changes.liked.sum()),
        )
        self._follow(int(step.min()), meta=meta)

    def _follow(self, since: int | None = None, **changes: Any) -> None:
        """Make the next store; `since` is the first step that has a changed row, if any has."""
        by_column = (*self._store.shared.by_column[:-1], self._by_column)
        self._store = self._store.followed_by(
            self._by_post.n_steps if since is None else since,
            self._n_log_steps,
            self._settles,
            catalogue=self._catalogue,
            text=self._text,
            topic=self._topic,
            history=self._history,
            shared=SharedCounts(self._by_post, by_column, self._by_key),
            **changes,
        )
