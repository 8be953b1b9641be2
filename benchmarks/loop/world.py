"""World of the loop: users who come as they would to a random feed, and like by the true rates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import FeedRows, Network
from feedrank.demo.truth import Truth
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import DemoParams

WEEK = 7 * SECONDS_A_DAY
WITHHELD = 0.03  # share of the posts that come later
QUALITY, BETTER = 0.3, 0.6  # spread of all posts' quality, and what every other later one has more
NEW_POSTS, NEW_TASTES = 3, 5  # weeks of the loop, from 0, at whose beginning the world changes


@dataclass(frozen=True)
class Session:
    """A user who comes: one moment and so many posts as a random feed would have shown.

    Attributes:
        user: row.
        at: seconds since the origin of each view, ascending, shape (n_views,).
    """

    user: int
    at: np.ndarray


@dataclass(frozen=True)
class World:
    """A simulated network in which every week is played twice, by a random feed and by ours.

    Attributes:
        network: users, posts, and the truth of the first weeks.
        warm: seconds of the random feed that both share.
        random: all views of the random feed, sorted.
        withheld: rows of the posts that are published in the week `NEW_POSTS`.
        changes: whether the world changes; else no post is withheld and no taste moves.
    """

    network: Network
    warm: int
    random: Impressions
    withheld: np.ndarray
    changes: bool

    @classmethod
    def simulate(cls, demo: DemoParams, warm_days: int, changes: bool) -> World:
        """The world of a network whose days hold the warm-up and the weeks of the loop.

        The like rate of the whole network does not drift: a rise of it would look like a success.
        In a world that changes posts differ in quality, so that a better one is nothing unheard of.
        """
        effects = replace(KINDS[demo.kind].effects, drift=0.0)
        effects = replace(effects, quality=QUALITY) if changes else effects
        network = Network.simulate(demo, effects)
        rng = np.random.default_rng((demo.seed, 1))
        n_withheld = round(WITHHELD * demo.posts) if changes else 0
        shown = np.flatnonzero(network.truth.was_shown)
        withheld = np.sort(rng.choice(shown, n_withheld, replace=False))
        quality = network.truth.quality.copy()
        quality[withheld[::2]] += BETTER
        network = replace(network, truth=replace(network.truth, quality=quality))
        views = Impressions.joined(network.impressions()).sorted()
        liked = np.random.default_rng((demo.seed, 2)).random(len(views))
        world = cls(network, warm_days * SECONDS_A_DAY, views, withheld, changes)
        p = world.probability(views.user, views.post, views.at)
        views = replace(views, liked=(liked < p).astype(np.uint8))
        early = np.isin(views.post, withheld) & (views.at < world.published_at)
        return replace(world, random=views[~early])

    @property
    def published_at(self) -> int:
        """When the withheld posts come."""
        return self.warm + NEW_POSTS * WEEK

    def posts(self, at: int) -> np.ndarray:
        """Rows of the posts that are published at a moment."""
        every = np.arange(len(self.network.posts))
        return every if at >= self.published_at else np.setdiff1d(every, self.withheld)

    def truth(self, at: int) -> Truth:
        """The truth at a moment: later, each cluster is loved by those who loved the next one."""
        truth = self.network.truth
        if not self.changes or at < self.warm + NEW_TASTES * WEEK:
            return truth
        return replace(truth, affinity=np.roll(truth.affinity, 1, axis=1))

    def truth_before(self, at: int) -> Truth:
        """The truth until a moment, of the posts that are published at it."""
        truth, posts = self.truth(at - 1), self.posts(at)
        names = ("cluster", "post_offset", "quality", "post_factors", "was_shown")
        return replace(truth, **{name: getattr(truth, name)[posts] for name in names})

    def probability(self, user: np.ndarray, post: np.ndarray, at: np.ndarray) -> np.ndarray:
        """True probability of a like of each view, shape (n,)."""
        user, post, at = (np.asarray(x).astype(np.int64) for x in (user, post, at))
        changed, found = self.warm + NEW_TASTES * WEEK, np.empty(len(user))
        for is_part in (at < changed, at >= changed):
            if is_part.any():
                of = self.truth(int(at[is_part][0]))
                found[is_part] = of.probability(user[is_part], post[is_part], at[is_part])
        return found

    def sessions(self, since: int, until: int) -> list[Session]:
        """Users who come in [since, until), in order of time."""
        rows = self.random[(self.random.at >= since) & (self.random.at < until)]
        key = rows.user.astype(np.int64) * 4096 + rows.at // SECONDS_A_DAY
        order = np.argsort(key, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
        found = [Session(int(rows.user[g[0]]), rows.at[g].astype(np.int64)) for g in groups]
        return sorted(found, key=lambda session: (int(session.at[0]), session.user))

    def views(self, sessions: list[Session], posts: list[np.ndarray], seed: int) -> Impressions:
        """What users liked of the posts that they were shown, sorted."""
        n = [min(len(s.at), len(p)) for s, p in zip(sessions, posts, strict=True)]
        user = np.repeat([s.user for s in sessions], n)
        at = np.concatenate([s.at[:k] for s, k in zip(sessions, n, strict=True)])
        post = np.concatenate([p[:k] for p, k in zip(posts, n, strict=True)])
        rng = np.random.default_rng((self.network.params.seed, 3, seed))
        liked = rng.random(len(user)) < self.probability(user, post, at)
        u, p, a = (x.astype(np.uint32) for x in (user, post, at))
        return Impressions(u, p, a, liked.astype(np.uint8)).sorted()


def feed_rows(views: Impressions) -> FeedRows:
    """Rows of the feed's table: each view, and after a liked one its like."""
    rows = np.repeat(np.arange(len(views)), 1 + views.liked.astype(np.int64))
    is_like = np.zeros(len(rows), dtype=bool)
    is_like[1:] = rows[1:] == rows[:-1]
    target = np.where(is_like, 0, views.liked[rows]).astype(np.uint8)
    user, post, at = (x[rows].astype(np.int64) for x in (views.user, views.post, views.at))
    return FeedRows(at + is_like, user, post, is_like, target)
