"""A log cut at a moment, the rest of it as events, and the store counted from the whole of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from feedrank.learning.counting_pass import count_posts
from feedrank.learning.fit import moments_of
from feedrank.learning.profile_coding import encode
from feedrank.learning.refits import _count_refits
from feedrank.live.events import IMPRESSION, LIKE, LIKED, Events, NewPost, NewUser
from feedrank.live.new_posts import fitted_with
from feedrank.log.embeddings import EMBEDDING
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.state.catalogue import Catalogue, Texts, id_array
from feedrank.state.feature_store import FeatureStore
from feedrank.state.profiles import Profiles
from feedrank.state.shared import SharedCounts
from tests.support.scratch import made_once, scratch
from tests.support.simulated_logs import (
    DAY,
    Learned,
    divided,
    named,
    pictured,
    plugged,
    ranked,
    simulated,
    tasteful,
    worded,
    workers,
    write_log,
)

N_NEW_USERS, N_NEW_POSTS = 15, 20
CUT, END = 24 * DAY + 36_000, 27 * DAY + 50_000  # within a step each
EPOCH = datetime(1970, 1, 1)
LEARNED = {
    "profiles": simulated,
    "plugin": plugged,
    "tastes": tasteful,
    "names": named,
    "sides": divided,
    "pictures": pictured,
    "own ranker": ranked,
    "words": worded,
}


@dataclass(frozen=True)
class Followed:
    """A log until a moment and what came after it.

    Attributes:
        learned: of the log until then, without the last users and posts.
        log: the whole log.
        rows: that came after, in order of time.
        users: that the first log lacks.
        posts: likewise.
    """

    learned: Learned
    log: Log
    rows: Impressions
    users: list[NewUser]
    posts: list[NewPost]

    def events(self, apart: float = 0.0, seed: int = 1) -> Events:
        """The rows as events; of a share of the liked ones the like comes apart, a minute later."""
        is_apart = (np.random.default_rng(seed).random(len(self.rows)) < apart) & (
            self.rows.liked > 0
        )
        kind = np.where(self.rows.liked & ~is_apart, LIKED, IMPRESSION)
        shown = self._events(self.rows, kind.astype(np.uint8))
        likes = self.rows[is_apart]
        likes = replace(likes, at=likes.at + np.uint32(60))
        return Events.joined([shown, self._events(likes, np.full(len(likes), LIKE, np.uint8))])

    def _events(self, rows: Impressions, kind: np.ndarray) -> Events:
        users, posts = self.log.users[USER_ID].to_numpy(), self.log.posts[POST_ID].to_numpy()
        since = int((self.log.meta.origin_at - EPOCH).total_seconds())
        at = rows.at.astype(np.int64) + since
        seq = np.arange(len(rows))
        return Events(seq, id_array(users)[rows.user], id_array(posts)[rows.post], at, kind)

    def whole(self) -> FeatureStore:
        """The store of the whole log, counted by the passes of a build, with the first's fit."""
        first, log = self.learned.store, self.log
        topics = {first.topic[row]: int(code) for row, code in enumerate(first.fitted.topic)}
        fitted = fitted_with(first.fitted, self.posts, topics)
        codes = [encode(c, log.users[c.name]) for c in first.columns]
        shape = (len(log.users), len(codes))
        profiles = Profiles(first.columns, np.array(codes, np.uint16).T.reshape(shape))
        with workers(1):
            (by_post, *by_key), history = count_posts(log, profiles, fitted)
            firsts = [refit.first_step for refit in fitted.refits]
            clusters = [refit.clusters for refit in fitted.refits]
            counts = _count_refits(log, profiles, fitted, by_post, firsts, clusters)
        ids = (id_array(log.users[USER_ID].to_numpy()), id_array(log.posts[POST_ID].to_numpy()))
        return FeatureStore(
            log.meta,
            Catalogue(*ids, profiles.codes, moments_of(log)),
            first.columns,
            Texts.of(log.posts[TEXT].tolist()),
            Texts.of(log.posts[TOPIC].tolist()),
            fitted,
            SharedCounts(by_post, tuple(c.by_column for c in counts), tuple(by_key)),
            history,
        )


@made_once
def followed(step: str = "1d", kind: str = "profiles") -> Followed:
    """The simulated log of 300 users, or one of tastes, cut on its 25th day."""
    of = LEARNED[kind](step)
    users, posts = of.log.users, of.log.posts
    n_users, n_posts = len(users) - N_NEW_USERS, len(posts) - N_NEW_POSTS
    rows = Impressions.joined(of.log.bucket(b) for b in range(of.log.meta.n_buckets)).sorted()
    rows = rows[
        (rows.at < END) & ((rows.at >= CUT) | (rows.user < n_users) & (rows.post < n_posts))
    ]
    directory, origin = scratch() / f"followed-{step}-{kind}", of.log.meta.origin
    first = write_log(
        directory / "first", users[:n_users], posts[:n_posts], rows.before(CUT), origin=origin
    )
    profiles = [c for c in users.columns if c != USER_ID]
    return Followed(
        Learned.of(first, of.params),
        write_log(directory / "whole", users, posts, rows, origin=origin),
        rows[rows.at >= CUT],
        [
            NewUser(i, int(row[USER_ID]), {c: row[c] for c in profiles})
            for i, row in users[n_users:].iterrows()
        ],
        [
            NewPost(i, int(row[POST_ID]), row[TEXT], row[TOPIC], row.get(EMBEDDING))
            for i, row in posts[n_posts:].iterrows()
        ],
    )
