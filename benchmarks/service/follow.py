"""A log's last week through two services, in accelerated time: one follows it, the other does not.

    python -m benchmarks.service.follow --kind news --users 1500 --posts 4000 --days 30

Both serve one artifact, built from a simulated network's log before that week. Step by step, the
step's new posts and the events of the previous steps go to the first service by `POST /feed`; once
it has them, both answer the step's requests. A request is a user's first impression of a day; the
list is chosen from the posts that the feed showed that user on that day, as for `shown`. Ends are
95 % intervals, users resampled.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import numpy as np

from benchmarks.quality.ranking import of_kind
from feedrank.artifact.export import export
from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import Network
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features.row_pass import training_rows
from feedrank.features.spec import features_of
from feedrank.learning.fit import fit_store
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import load_params
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.stats.intervals import user_weights
from feedrank.training.fit import fit_ranker
from tests.support.network.log_files import write_simulated_log
from tests.support.service_process import serving

K, DAYS, RESAMPLES, BATCH = 5, 7, 1_000, 5_000
PATIENCE = 120.0  # seconds for the service to take a step's events
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

    def send(self, client: httpx2.Client, since: int, until: int, publish_until: int) -> None:
        """Posts first shown until one second, then rows of [since, until); wait for them."""
        is_new = (self._first >= max(since, self.cut)) & (self._first < publish_until)
        posts = [
            {"id": int(p[POST_ID]), "text": p[TEXT], "topic": p[TOPIC]}
            for _, p in self._posts[is_new].iterrows()
        ]
        if posts:
            client.post("/feed", json={"posts": posts}).raise_for_status()
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
        self._wait(client, posts, int(rows.at.max()) if len(rows) else None)

    def _wait(self, client: httpx2.Client, posts: list[dict], last: int | None) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            as_of = client.get("/version").json()["artifacts"][0]["as_of"]
            has_rows = last is None or as_of >= self.moment(last)
            path = f"/post/{posts[-1]['id']}/similar" if posts else "/health"
            if has_rows and client.get(path).status_code == 200:
                return
            time.sleep(0.05)
        raise SystemExit("the service did not follow in time")

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


def steps_of(requests: list[Request], seconds: int) -> Iterator[tuple[int, list[Request]]]:
    """Steps with their requests, in order of time."""
    for step in sorted({request.at // seconds for request in requests}):
        yield step, [request for request in requests if request.at // seconds == step]


def build(network: Network, rows: Impressions, params: object, scratch: Path) -> Path:
    """The artifact of a log."""
    log = write_simulated_log(network, scratch / "log", params.extract.buckets, rows)
    store = fit_store(log, params)
    ranker = fit_ranker(
        training_rows(log, store, params), None, features_of(store.fitted), params.train
    )
    (scratch / "features").mkdir()
    store.save(scratch / "features")
    ranker.save(scratch / "ranker.ubj")
    facts = {"metrics": {}}
    place = scratch / "artifact"
    export(place, scratch / "features", scratch / "ranker.ubj", params.export, facts, 20, K)
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
    first = np.full(given.posts, 2**40)
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
        hits, sent = [], cut
        with (
            serving(artifact, Path(scratch) / "one") as one,
            serving(artifact, Path(scratch) / "other") as other,
            httpx2.Client(base_url=one.address) as followed,
            httpx2.Client(base_url=other.address) as frozen,
        ):
            for step, own in steps_of(requests, seconds):
                replay.send(followed, sent, step * seconds, (step + 1) * seconds)
                sent = step * seconds
                hits += [[replay.hit(client, r) for client in (frozen, followed)] for r in own]
    report(given.kind, np.array(hits, float), np.array([r.user for r in requests]), first, cut)


def report(kind: str, hits: np.ndarray, user: np.ndarray, first: np.ndarray, cut: int) -> None:
    """One line: hit rates, and the difference with its interval."""
    weights = user_weights(user, RESAMPLES, seed=1)
    drawn = (weights @ (hits[:, 1] - hits[:, 0])) / weights.sum(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    new = np.count_nonzero((first >= cut) & (first < 2**40))
    frozen, followed = hits.mean(0)
    print(
        f"{kind}: {len(hits):,} requests, {new:,} new posts; hitrate@{K}/shown "
        f"frozen {frozen:.3f}, followed {followed:.3f}, difference {followed - frozen:+.3f} "
        f"[{low:+.3f}, {high:+.3f}]"
    )


if __name__ == "__main__":
    main()
