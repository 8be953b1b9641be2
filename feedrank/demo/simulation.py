"""Simulated social network: users, posts, and the feed that the users were shown.

Everything follows from one seed. The feed is generated in blocks of users, each from its own
stream of random numbers: blocks may be generated in any order, or side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from feedrank.demo.kinds import KINDS, Kind
from feedrank.demo.latent import Latent, draw_embeddings, draw_truth
from feedrank.demo.lives import Lives
from feedrank.demo.population import age_class, make_posts, make_users
from feedrank.demo.texts import write_texts
from feedrank.demo.truth import Effects, Truth
from feedrank.log.embeddings import EMBEDDING
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import DemoParams
from feedrank.schema import TEXT, TOPIC

BLOCK_USERS = 256  # of one block, about 120,000 feed rows at 90 days; another draws another feed
SESSIONS_SHAPE = 4.0  # of a gamma distribution: some users come daily, some hardly ever
FIRST_START, LAST_START = 6 * 3600, 22 * 3600
AFTER_LIKE = 2  # seconds from a like to the next view


@dataclass(frozen=True)
class FeedRows:
    """Rows of `feed_data`, user by user, each user's in order of time.

    Attributes:
        at: seconds since the origin, int64, shape (n,).
        user: row of the user, int64, shape (n,).
        post: row of the post, int64, shape (n,).
        is_like: bool, shape (n,): a like, else a view.
        target: 1 for a view that was liked, else 0; uint8, shape (n,).
    """

    at: np.ndarray
    user: np.ndarray
    post: np.ndarray
    is_like: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Network:
    """Users, posts, the latent truth, and the distributions that the feed is drawn from.

    Attributes:
        users: `user_data`, sorted by `user_id`.
        posts: `post_text_df`, sorted by `post_id`.
        impression_share: as in `Latent`.
        sessions_a_day: of each user, shape (n_users,).
        order: rows of users in the order of the feed, shape (n_users,).
    """

    params: DemoParams
    users: pd.DataFrame
    posts: pd.DataFrame
    truth: Truth
    impression_share: np.ndarray
    sessions_a_day: np.ndarray
    order: np.ndarray

    @classmethod
    def simulate(cls, params: DemoParams, effects: Effects | None = None) -> Network:
        """The network of these parameters, with its kind's `Effects` unless others are given."""
        kind = KINDS[params.kind]
        rng = np.random.default_rng(params.seed)
        users, posts = make_users(params.users, rng), make_posts(params.posts, rng)
        topics = posts[TOPIC].to_numpy()
        latent = Latent.draw(topics, rng)
        posts[TEXT] = write_texts(topics, latent.cluster, rng)
        scaled = (effects or kind.effects).scaled(params.effect_scale)
        truth = draw_truth(params, users, topics, latent, scaled, kind.life, rng)
        sessions_a_day = kind.feed.sessions_a_day * rng.gamma(
            SESSIONS_SHAPE, 1 / SESSIONS_SHAPE, len(users)
        )
        order = rng.permutation(len(users))
        if kind.is_pictures:
            posts[TEXT] = "A picture."
            posts[EMBEDDING] = list(draw_embeddings(truth, rng))
        return cls(params, users, posts, truth, latent.impression_share, sessions_a_day, order)

    @property
    def n_blocks(self) -> int:
        """Number of blocks of users."""
        return -(-self.params.users // BLOCK_USERS)

    def feed(self, block: int) -> FeedRows:
        """Feed rows of one block of users, likes among the views."""
        views, gap = self._views(block)
        rows = np.repeat(np.arange(len(views)), 1 + views.liked.astype(np.int64))
        is_like = np.zeros(len(rows), dtype=bool)
        is_like[1:] = rows[1:] == rows[:-1]
        at = views.at[rows] + np.where(is_like, np.maximum(gap[rows] - AFTER_LIKE, 0), 0)
        target = np.where(is_like, 0, views.liked[rows]).astype(np.uint8)
        return FeedRows(at, views.user[rows], views.post[rows], is_like, target)

    def impressions(self, blocks: Iterable[int] | None = None) -> Iterator[Impressions]:
        """The views of some blocks, or all, as an extracted log would hold them, user by user."""
        for block in range(self.n_blocks) if blocks is None else blocks:
            v, _ = self._views(block)
            u, p, a = (x.astype(np.uint32) for x in (v.user, v.post, v.at))
            yield Impressions(u, p, a, v.liked)

    def _views(self, block: int) -> tuple[Impressions, np.ndarray]:
        """Views of a block and the seconds from each to the next, user by user."""
        # A spawn key, since the seeds [20, 0] and 20 would give one and the same stream.
        stream = np.random.SeedSequence(self.params.seed, spawn_key=(block,))
        rng = np.random.default_rng(stream)
        users = self.order[block * BLOCK_USERS : (block + 1) * BLOCK_USERS]
        user, day = self._sessions(users, block, rng)
        feed = self._kind.feed
        gap = rng.integers(*feed.gap, (len(user), feed.views[1]), endpoint=True)
        start = day * SECONDS_A_DAY + rng.integers(FIRST_START, LAST_START, len(day), endpoint=True)
        at = start[:, None] + np.cumsum(gap, axis=1) - gap
        post = self._posts_of_sessions(user, start, rng)
        n_views = rng.integers(*feed.views, len(user), endpoint=True)
        seen = (np.arange(feed.views[1]) < n_views[:, None]) & (post >= 0)
        session = np.repeat(np.arange(len(user)), seen.sum(axis=1))
        at, post, gap, user = at[seen], post[seen], gap[seen], user[session]
        liked = rng.random(len(at)) < self.truth.probability(user, post, at)
        views = Impressions(user, post, at, liked.astype(np.uint8))
        if not feed.clicked_only:
            return views, gap
        is_clicked = np.bincount(session, liked)[session] > 0
        return views[is_clicked], gap[is_clicked]

    def _sessions(
        self, users: np.ndarray, block: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """User and day of each session: at most one a day, at least one a user."""
        comes = rng.random((len(users), self.params.days)) < self.sessions_a_day[users, None]
        absent = np.flatnonzero(~comes.any(axis=1))
        comes[absent, rng.integers(0, self.params.days, len(absent))] = True
        comes[0, 0] |= block == 0  # the log begins on the first day, however few users there are
        place, day = np.nonzero(comes)
        return users[place], day

    def _posts_of_sessions(
        self, user: np.ndarray, start: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Posts of each session, none twice, -1 for none, shape (n_sessions, most views)."""
        if self.truth.lives is not None:
            return self._posts_alive(self.truth.lives, user, start, rng)
        classes = self._age_class[user]
        post = self._draw(np.repeat(classes[:, None], self._kind.feed.views[1], axis=1), rng)
        session = np.arange(len(post))
        while len(session):
            order = np.argsort(post[session], axis=1, kind="stable")
            ranked = np.take_along_axis(post[session], order, axis=1)
            row, place = np.nonzero(ranked[:, 1:] == ranked[:, :-1])
            again = session[row]
            post[again, order[row, place + 1]] = self._draw(classes[again], rng)
            session = np.unique(again)
        return post

    def _draw(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One post for each place in the feed of a user of that age class."""
        point, post = rng.random(classes.shape), np.empty(classes.shape, dtype=np.int64)
        for one, cumulative in enumerate(np.cumsum(self.impression_share, axis=1)):
            here = classes == one
            post[here] = np.searchsorted(cumulative / cumulative[-1], point[here], side="right")
        return post

    def _posts_alive(
        self, lives: Lives, user: np.ndarray, start: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Posts by their heat, some of the previous session; a second draw of one is none."""
        point = rng.random((len(user), self._kind.feed.views[1]))
        post = lives.posts_at(point, self.impression_share, self._age_class[user], start)
        is_again = rng.random(point[1:].shape) < self._kind.feed.again
        is_again &= (user[1:] == user[:-1])[:, None]
        post[1:] = np.where(is_again, post[:-1], post[1:])
        return _without_repeats(post)

    @property
    def _kind(self) -> Kind:
        return KINDS[self.params.kind]

    @cached_property
    def _age_class(self) -> np.ndarray:
        return age_class(self.users["age"].to_numpy())


def _without_repeats(post: np.ndarray) -> np.ndarray:
    """The same rows with -1 in place of what stands further left in its row already."""
    order = np.argsort(post, axis=1, kind="stable")
    ranked = np.take_along_axis(post, order, axis=1)
    row, place = np.nonzero(ranked[:, 1:] == ranked[:, :-1])
    post[row, order[row, place + 1]] = -1
    return post
