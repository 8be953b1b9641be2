"""Requests of the course, (user, moment) pairs, and the hit rate of lists of five on the demo."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.demo.truth import SCALARS, Truth
from feedrank.errors import FeedrankError
from feedrank.state.feature_store import FeatureStore

N_REQUESTS, K = 2_000, 5  # of the course's checker
MOST_SECONDS, MOST_MEGABYTES = 0.5, 4_096  # the course's limits
TRUTH = Path("data/truth")

Request = tuple[int, str]  # a user's id and a moment


def load_artifact(directory: Path) -> Artifact:
    """The artifact of a directory; without one, the program ends with a message."""
    try:
        return Artifact.load(directory)
    except FeedrankError as error:
        raise SystemExit(f"error: {error}") from None


def draw_requests(store: FeatureStore, n: int = N_REQUESTS, seed: int = 20) -> list[Request]:
    """Random users at random moments of the data, every other one at midnight as the course does.

    In order of time, as they would come.
    """
    rng = np.random.default_rng(seed)
    meta = store.meta
    users = rng.choice(store.catalogue.user_ids, n)
    moments = [meta.moment(at) for at in np.sort(rng.integers(0, meta.last_at + 1, n))]
    moments[::2] = [at - timedelta(seconds=meta.seconds(at) % 86_400) for at in moments[::2]]
    return [(int(user), at.isoformat()) for user, at in zip(users, moments, strict=True)]


def hit_rate(
    store: FeatureStore, requests: list[Request], lists: list[list[int]], truth: Path = TRUTH
) -> float | None:
    """Expected share of lists with a like, by the demo's truth; None without a truth that fits.

    Args:
        store: with the users and posts of the requests and lists.
        requests: n of them.
        lists: ids of posts, n lists of equal length.
        truth: directory of the truth.
    """
    if not (truth / SCALARS).exists():
        return None
    true, catalogue = Truth.load(truth), store.catalogue
    if (true.n_users, true.n_posts) != (len(catalogue.user_ids), len(catalogue.post_ids)):
        return None
    user = np.array([catalogue.user(user_id) for user_id, _ in requests])
    at = np.array([true.seconds(datetime.fromisoformat(moment)) for _, moment in requests])
    post = np.searchsorted(catalogue.post_ids, np.array(lists))
    return float(true.hit_probability(user, at, post).mean())
