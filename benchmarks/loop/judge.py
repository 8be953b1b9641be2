"""Judge of the loop: true hit rates of a week's lists, which only a simulation knows."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.loop.world import Session, World
from benchmarks.service.follow import build
from feedrank.artifact.artifact import Artifact
from feedrank.oracle.limits import oracle_lists
from feedrank.params import Params
from feedrank.schema import POST_ID

K = 5
AT_ONCE = 64  # requests that are ranked together: a matter of memory alone


def rates(world: World, sessions: list[Session], lists: dict[str, np.ndarray]) -> dict[str, float]:
    """True hit rate of each method's lists, rows of posts, (n_sessions, K), and of two limits."""
    user = np.array([s.user for s in sessions])
    at = np.array([s.at[0] for s in sessions])
    first, posts = int(at.min()), world.posts(int(at.min()))
    truth = world.truth(first)
    barred = [np.setdiff1d(np.arange(truth.n_posts), posts)] * len(user)
    drawn = np.random.default_rng(1).choice(posts, (len(user), K))
    lists = lists | {"oracle": oracle_lists(truth, user, at, K, barred), "random": drawn}
    hits = {name: truth.hit_probability(user, at, found) for name, found in lists.items()}
    return {name: float(hit.mean()) for name, hit in hits.items()}


def greedy(world: World, artifact: Artifact, sessions: list[Session]) -> np.ndarray:
    """The lists that an artifact thinks best, without exploration, (n_sessions, K)."""
    meta, ids = artifact.store.meta, artifact.store.catalogue.post_ids
    shift = world.network.truth.seconds(meta.origin_at)
    every = world.network.posts[POST_ID].to_numpy()
    found = []
    for first in range(0, len(sessions), AT_ONCE):
        some = sessions[first : first + AT_ONCE]
        # All of them lie beyond the log of the artifact, whose last step answers.
        at = np.array([s.at[0] - shift for s in some])
        ranked = artifact.recommender.rank_many(np.array([s.user for s in some]), at, K, None)
        found += [np.searchsorted(every, ids[one.post]) for one in ranked]
    return np.array(found)


def explored(world: World, artifact: Artifact, sessions: list[Session]) -> np.ndarray:
    """The lists of `K` that the service would return, places that explore included."""
    meta, ids = artifact.store.meta, artifact.store.catalogue.post_ids
    shift = world.network.truth.seconds(meta.origin_at)
    every = world.network.posts[POST_ID].to_numpy()
    found = [
        artifact.explorer.rank_many(np.array([s.user]), int(s.at[0]) - shift, K)[0].post
        for s in sessions
    ]
    return np.searchsorted(every, ids[np.array(found)])


def of_random_feed(world: World, until: int, params: Params, sessions: list[Session]) -> np.ndarray:
    """Lists of the same ranker, had the feed stayed random until a moment."""
    posts, place = world.posts(until), np.full(len(world.network.posts), -1)
    place[posts] = np.arange(len(posts))
    rows = world.random.before(until)
    rows = replace(rows, post=place[rows.post].astype(np.uint32))
    network = replace(world.network, posts=world.network.posts.iloc[posts].reset_index(drop=True))
    with tempfile.TemporaryDirectory() as scratch:
        artifact = Artifact.load(build(network, rows, params, Path(scratch)))
        return greedy(world, artifact, sessions)
