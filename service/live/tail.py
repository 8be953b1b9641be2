"""Tail: one worker's reader of the delta log, which brings its artifact's store forward."""

from __future__ import annotations

from collections.abc import Callable

from feedrank.live.delta_log import MOST_ROWS, DeltaLog
from feedrank.live.live_store import LiveStore
from feedrank.state.feature_store import FeatureStore

OpenLog = Callable[[], DeltaLog | None]


class Tail:
    """Reads what was appended to the delta log since the last time.

    What the artifact holds already is left out by the live store, so that every artifact starts at
    the log's first row: a newer one, and an older one that is rolled back to.

    Args:
        store: of the artifact.
        like_window: of the artifact.
        open_log: gives the delta log, None while there is none.
    """

    def __init__(self, store: FeatureStore, like_window: int | None, open_log: OpenLog) -> None:
        self.store = self._base = store
        self._like_window, self._open_log = like_window, open_log
        self._log: DeltaLog | None = None
        self._live: LiveStore | None = None
        self._read = {"events": 0, "posts": 0, "users": 0, "hidden": 0}

    @property
    def n_late(self) -> int:
        """Events at or before the artifact's last second, which wait for the next artifact."""
        return 0 if self._live is None else self._live.n_late

    def catch_up(self) -> bool:
        """Take over all that was appended; whether `store` is another one now."""
        log = self._open_log()
        if log is None:
            return False
        before = self.store
        if self._live is None or log is not self._log:
            self._live, self._log = LiveStore(self._base, self._like_window, settles=True), log
            self._read = dict.fromkeys(self._read, 0)
        while self._take(log, self._live):
            pass
        self.store = self._live.store()
        return self.store is not before

    def _take(self, log: DeltaLog, live: LiveStore) -> bool:
        """Take the next rows; whether there may be more events."""
        read = self._read
        posts, users = log.posts_after(read["posts"]), log.users_after(read["users"])
        hidden, events = log.hidden_after(read["hidden"]), log.events_after(read["events"])
        live.apply(events, posts, users, hidden)
        numbers = {
            "posts": [post.seq for post in posts],
            "users": [user.seq for user in users],
            "hidden": [post.seq for post in hidden],
            "events": events.seq.tolist(),
        }
        read |= {table: of_rows[-1] for table, of_rows in numbers.items() if of_rows}
        return len(events) == MOST_ROWS
