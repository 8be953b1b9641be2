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


def lists_of(
    world: World, artifact: Artifact, sessions: list[Session], explores: bool = False
) -> np.ndarray:
    """An artifact's lists, the best that it knows or those that the service would return.

    Returns:
        Rows of posts, shape (n_sessions, K).
    """
    store, every = artifact.store, world.network.posts[POST_ID].to_numpy()
    shift = world.network.truth.seconds(store.meta.origin_at)
    found = []
    for session in sessions:
        user, at = session.user, int(session.at[0]) - shift
        if explores:
            found.append(artifact.explorer.rank_many(np.array([user]), at, K)[0].post)
        else:
            found.append(artifact.recommender.rank(user, at, K).post)
    return np.searchsorted(every, store.catalogue.post_ids[np.array(found)])


def of_random_feed(world: World, until: int, params: Params, sessions: list[Session]) -> np.ndarray:
    """Lists of the same ranker, had the feed stayed random until a moment."""
    posts, place = world.posts(until), np.full(len(world.network.posts), -1)
    place[posts] = np.arange(len(posts))
    rows = world.random.before(until)
    rows = replace(rows, post=place[rows.post].astype(np.uint32))
    network = replace(world.network, posts=world.network.posts.iloc[posts].reset_index(drop=True))
    with tempfile.TemporaryDirectory() as scratch:
        artifact = Artifact.load(build(network, rows, params, Path(scratch)))
        return lists_of(world, artifact, sessions)
