"""Feeds of a simulated network, made from its own: random ones, and ones that select posts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from feedrank.demo.population import age_class
from feedrank.demo.simulation import Network
from feedrank.demo.truth import N_CLUSTERS
from feedrank.learning.counting_pass import count_posts
from feedrank.learning.profile_coding import code_profiles
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.state.feature_store import FeatureStore

Feed = Callable[[Network, Impressions, np.random.Generator], Impressions]


def store_of(store: FeatureStore, log: Log, segments: int) -> FeatureStore:
    """A store of another log of the same users and posts, with the same fitted parameters."""
    (by_post, *_), history = count_posts(log, code_profiles(log.users, segments), store.fitted)
    return replace(store, shared=replace(store.shared, by_post=by_post), history=history)


def random_feed(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """The network's own feed: random at each age, some posts more often than others."""
    return rows


def shuffled(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """The same posts, each shown to anybody, whatever the age."""
    user, post, at = (x.astype(np.int64) for x in (rows.user, rng.permutation(rows.post), rows.at))
    liked = rng.random(len(rows)) < network.truth.probability(user, post, at)
    return Impressions(rows.user, post.astype(np.uint32), rows.at, liked.astype(np.uint8))


def liked_again(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """One impression in ten is of a post that the user liked before."""
    post, liked = rows.post.copy(), rows.liked.copy()
    user, at = rows.user.astype(np.int64), rows.at.astype(np.int64)
    of_user: dict[int, list[int]] = defaultdict(list)
    is_again, which, chance = rng.random((3, len(rows)))
    for i in np.lexsort((at, user)).tolist():
        known = of_user[int(user[i])]
        if known and is_again[i] < 0.1:
            post[i] = known[int(which[i] * len(known))]
            liked[i] = chance[i] < network.truth.probability(user[[i]], post[[i]], at[[i]])[0]
        if liked[i]:
            known.append(int(post[i]))
    return Impressions(rows.user, post, rows.at, liked)


def liked_clusters(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """Posts are kept more often, the more posts of their latent cluster the user liked before."""
    order = np.lexsort((rows.at, rows.user))
    user, liked = rows.user[order].astype(np.int64), rows.liked[order].astype(np.int64)
    cluster = network.truth.cluster[rows.post[order]]
    before = _before(user * N_CLUSTERS + cluster, liked)
    over = (before + 1) / (_before(user, liked) + N_CLUSTERS)
    return rows[order[rng.random(len(rows)) < np.clip(over / 0.2, 0.05, 1)]]


def true_tastes(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """Posts are kept more often, the higher the user's true taste for their latent cluster."""
    taste = network.truth.taste[rows.user, network.truth.cluster[rows.post]]
    return rows[rng.random(len(rows)) < 1 / (1 + np.exp(-6 * taste))]


def follows_likes(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """After a like, a third of the day's other impressions are of its topic."""
    order = np.lexsort((rows.at, rows.user))
    user, at = rows.user[order].astype(np.int64), rows.at[order].astype(np.int64)
    post, liked = rows.post[order], rows.liked[order]
    _, topic = np.unique(network.posts["topic"], return_inverse=True)
    of_topic = [np.flatnonzero(topic == t) for t in range(int(topic.max()) + 1)]
    is_other, which, chance = rng.random((3, len(order)))
    last, sitting = -1, (-1, -1)
    for i in range(len(order)):
        if sitting != (sitting := (int(user[i]), int(at[i] // SECONDS_A_DAY))):
            last = -1
        if last >= 0 and is_other[i] < 1 / 3:
            some = of_topic[last]
            post[i] = some[int(which[i] * len(some))]
            liked[i] = chance[i] < network.truth.probability(user[[i]], post[[i]], at[[i]])[0]
        if liked[i]:
            last = int(topic[post[i]])
    return Impressions(rows.user[order], post, rows.at[order], liked)


def private_halves(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """Half of the posts, each user's own, are shown 3.3 times as often as the others."""
    own = rng.random((len(network.users), len(network.posts))) < 0.5
    return rows[rng.random(len(rows)) < np.where(own[rows.user, rows.post], 1, 0.3)]


def by_age(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """A third of the posts, another one for each of three ages, is shown 1.7 times as often."""
    age = age_class(network.users["age"].to_numpy())[rows.user]
    return rows[rng.random(len(rows)) < np.where(rows.post % 3 == age, 1, 0.6)]


def by_gender(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """Half of the posts are shown 1.7 times as often to women, the others to men."""
    gender = network.users["gender"].to_numpy()[rows.user]
    return rows[rng.random(len(rows)) < np.where(rows.post % 2 == gender, 1, 0.6)]


def by_gender_and_os(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """Half of the posts are shown 1.7 times as often to women on Android and men on iOS.

    Neither column tells anything by itself.
    """
    is_android = (network.users["os"] == "Android").to_numpy()[rows.user]
    gender = network.users["gender"].to_numpy()[rows.user]
    return rows[rng.random(len(rows)) < np.where(rows.post % 2 == gender ^ is_android, 1, 0.6)]


def by_day(network: Network, rows: Impressions, rng: np.random.Generator) -> Impressions:
    """A third of the posts, another one each day, is shown 2.5 times as often."""
    is_today = rows.post % 3 == rows.at // SECONDS_A_DAY % 3
    return rows[is_today | (rng.random(len(rows)) < 0.4)]


FEEDS: dict[str, Feed] = {
    "random": random_feed,
    "shuffled": shuffled,
    "liked again": liked_again,
    "liked clusters": liked_clusters,
    "true tastes": true_tastes,
    "follows likes": follows_likes,
    "private halves": private_halves,
    "by age": by_age,
    "by gender": by_gender,
    "by gender and os": by_gender_and_os,
    "by day": by_day,
}


def _before(cell: np.ndarray, liked: np.ndarray) -> np.ndarray:
    """Likes of each row's cell in the rows before it, shape (n,)."""
    order = np.argsort(cell, kind="stable")
    total = np.cumsum(liked[order]) - liked[order]
    is_first = np.diff(cell[order], prepend=-1) != 0
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(cell)), 0))
    found = np.empty_like(total)
    found[order] = total - total[first]
    return found
