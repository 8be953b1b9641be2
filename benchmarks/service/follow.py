"""A log's last week through three services, in accelerated time: frozen, with new posts, followed.

    python -m benchmarks.service.follow --kind news --users 1500 --posts 4000 --days 30

All serve one artifact, built from a simulated network's log before that week. Step by step, the
step's new posts go to two of them by `POST /feed`, and the events of the previous steps to one of
these; once they have them, all answer the step's requests. A request is a user's first impression
of a day; the list is chosen from the posts that the feed showed that user on that day, as for
`shown`. Ends are 95 % intervals, users resampled. `random` is five of the shown posts by lot.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import comb
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.quality.ranking import of_kind
from feedrank.artifact.export import export
from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import Network
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.extraction.source_state import LEAST_BUCKETS
from feedrank.features.row_pass import training_rows
from feedrank.features.spec import features_of
from feedrank.learning.fit import fit_store
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import NEVER, SECONDS_A_DAY
from feedrank.params import Params, load_params
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.stats.intervals import user_weights
from feedrank.training.fit import fit_ranker
from tests.support.network.log_files import write_simulated_log
from tests.support.service_process import serving

K, DAYS, RESAMPLES, BATCH = 5, 7, 1_000, 5_000
PATIENCE = 120.0  # seconds for the service to take a step's events
NAMES = ("frozen", "posts", "followed")  # what a service is sent: nothing, posts, all
LIST = "/post/recommendations/"


@dataclass(frozen=True)
class Request:
    """A user's impressions of a day, from the first one on."""

    user: int
    at: int
    shown: np.ndarray
    liked: np.ndarray


def requests_of(rows: Impressions) -> list[Request]:
    """Requests with more posts than a list is long, in order of time; a post counts once."""
    day = rows.at.astype(np.int64) // SECONDS_A_DAY
    _, of = np.unique(rows.user.astype(np.int64) * (day.max() + 1) + day, return_inverse=True)
    found = []
    for own in np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of))[:-1]):
        shown = np.unique(rows.post[own])
        if len(shown) > K:
            liked = np.unique(rows.post[own][rows.liked[own] > 0])
            found.append(Request(int(rows.user[own[0]]), int(rows.at[own].min()), shown, liked))
    return sorted(found, key=lambda request: request.at)


class Replay:
    """The week's rows, and where they are sent."""

    def __init__(self, network: Network, rows: Impressions, cut: int, first: np.ndarray) -> None:
        self._users = network.users[USER_ID].to_numpy()
        self._posts = network.posts
        self._ids = network.posts[POST_ID].to_numpy()
        self._origin = datetime.fromisoformat(network.truth.origin)
        self._rows, self._first, self.cut = rows, first, cut

    def moment(self, at: int) -> str:
        """A second as the service takes it."""
        return (self._origin + timedelta(seconds=int(at))).isoformat()

    def publish(self, client: httpx2.Client, since: int, until: int) -> None:
        """Send the posts that are first shown in [since, until), and wait for them."""
        is_new = (self._first >= since) & (self._first < until)
        posts = [
            {"id": int(p[POST_ID]), "text": p[TEXT], "topic": p[TOPIC]}
            for _, p in self._posts[is_new].iterrows()
        ]
        if posts:
            client.post("/feed", json={"posts": posts}).raise_for_status()
            path = f"/post/{posts[-1]['id']}/similar"
            _wait(lambda: client.get(path).status_code == 200)

    def send(self, client: httpx2.Client, since: int, until: int) -> None:
        """Send the rows of [since, until), and wait for them."""
        rows = self._rows[(self._rows.at >= since) & (self._rows.at < until)]
        events = [
            {
                "user_id": int(self._users[u]),
                "post_id": int(self._ids[p]),
                "time": self.moment(at),
                "liked": bool(liked),
            }
            for u, p, at, liked in zip(rows.user, rows.post, rows.at, rows.liked, strict=True)
        ]
        for batch in range(0, len(events), BATCH):
            body = {"events": events[batch : batch + BATCH]}
            client.post("/feed", json=body, timeout=PATIENCE).raise_for_status()
        if events:
            last = events[-1]["time"]
            _wait(lambda: client.get("/version").json()["artifacts"][0]["as_of"] >= last)

    def hit(self, client: httpx2.Client, request: Request) -> bool:
        """Whether the best of the shown posts hold a like."""
        query = {
            "id": int(self._users[request.user]),
            "time": self.moment(request.at),
            "limit": K,
            "candidates": ",".join(map(str, self._ids[request.shown])),
        }
        best = client.get(LIST, params=query, timeout=PATIENCE).raise_for_status().json()
        return bool({post["id"] for post in best} & set(self._ids[request.liked].tolist()))


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise SystemExit("the service did not follow in time")
        time.sleep(0.05)


def steps_of(requests: list[Request], seconds: int) -> Iterator[tuple[int, list[Request]]]:
    """Steps with their requests, in order of time."""
    for step in sorted({request.at // seconds for request in requests}):
        yield step, [request for request in requests if request.at // seconds == step]


def build(network: Network, rows: Impressions, params: Params, scratch: Path) -> Path:
    """The artifact of a log."""
    log = write_simulated_log(network, scratch / "log", LEAST_BUCKETS, rows)
    store = fit_store(log, params)
    rows = training_rows(log, store, params)
    ranker = fit_ranker(rows, None, features_of(store.fitted), params.train, store)
    (scratch / "features").mkdir()
    store.save(scratch / "features")
    (scratch / "ranker").mkdir()
    ranker.save(scratch / "ranker")
    facts: dict[str, Any] = {"metrics": {}}
    place = scratch / "artifact"
    export(place, scratch / "features", scratch / "ranker", params.export, facts, 20, K)
    return place


def main() -> None:
    """Print the hit rates of both services."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=KINDS, default="news")
    for name, value in (("users", 1500), ("posts", 4000), ("days", 30), ("requests", 2000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    one_thread_of_algebra()
    params, effects = of_kind(given.kind, load_params())
    size = {name: getattr(given, name) for name in ("users", "posts", "days")}
    params = replace(params, demo=replace(params.demo, **size))
    network = Network.simulate(params.demo, effects)
    rows = Impressions.joined(network.impressions()).sorted()
    cut = (given.days - DAYS) * SECONDS_A_DAY
    first = np.full(given.posts, NEVER)
    np.minimum.at(first, rows.post.astype(np.int64), rows.at.astype(np.int64))
    known = np.flatnonzero(first < cut)
    place = np.cumsum(first < cut) - 1
    before = rows[rows.at < cut]
    before = replace(before, post=place[before.post].astype(np.uint32))
    with tempfile.TemporaryDirectory() as scratch:
        of_log = replace(network, posts=network.posts.iloc[known].reset_index(drop=True))
        artifact = build(of_log, before, params, Path(scratch))
        week = rows[rows.at >= cut]
        requests = requests_of(week)
        requests = requests[:: max(1, len(requests) // given.requests)]
        replay = Replay(network, week, cut, first)
        seconds = params.features.step_seconds
        hits, done = [], cut
        with ExitStack() as stack:
            servers = [stack.enter_context(serving(artifact, Path(scratch) / n)) for n in NAMES]
            clients = [
                stack.enter_context(httpx2.Client(base_url=server.address)) for server in servers
            ]
            published = cut
            for step, own in steps_of(requests, seconds):
                for client in clients[1:]:
                    replay.publish(client, published, (step + 1) * seconds)
                published = (step + 1) * seconds
                replay.send(clients[2], done, step * seconds)
                done = step * seconds
                hits += [[replay.hit(client, r) for client in clients] for r in own]
    n_new = int(np.count_nonzero((first >= cut) & (first < NEVER)))
    report(given.kind, np.array(hits, float), requests, n_new)


def by_lot(request: Request) -> float:
    """Hit rate of `K` random posts of those shown."""
    n, n_disliked = len(request.shown), len(request.shown) - len(request.liked)
    return 1 - comb(n_disliked, K) / comb(n, K)


def report(kind: str, hits: np.ndarray, requests: list[Request], n_new: int) -> None:
    """Hit rates, and the differences from the frozen service with their intervals."""
    weights = user_weights(np.array([r.user for r in requests]), RESAMPLES, seed=1)
    print(f"{kind}: {len(hits):,} requests, {n_new:,} new posts, hitrate@{K}/shown")
    print(f"  random    {np.mean([by_lot(request) for request in requests]):.3f}")
    for name, own in zip(NAMES, hits.T, strict=True):
        more = own - hits[:, 0]
        low, high = np.quantile(weights.means(more), [0.025, 0.975])
        print(f"  {name:9} {own.mean():.3f}   {more.mean():+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
