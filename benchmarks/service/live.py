"""Cost of following the network: catch-up, memory of a day, and requests while events arrive.

    python -m benchmarks.service.live models/artifact

Events are of random users and posts, after the artifact's last second. Quiet and busy periods take
turns against one worker that holds a day of events; the machine is to be idle else.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from benchmarks.service.service import memory, processor_seconds, serving
from feedrank.artifact.artifact import Artifact
from feedrank.io.malloc import return_freed_memory
from feedrank.live.delta_log import DeltaLog, delta_log_of
from feedrank.live.events import Happened
from feedrank.state.feature_store import FeatureStore
from service.live.tail import Tail

DAY_OF_EVENTS = 855_000  # of the reference network, whose log has 77 million in 90 days
BATCH = 50_000  # of one transaction in catch-up
A_SECOND, EVERY = 2_000, 0.25  # events that arrive, and seconds between two transactions
PERIOD, SETTLING = 4.0, 1.0  # seconds of a period, of which the first are not measured
Event = tuple[int, int, int, int, None]


def events(store: FeatureStore, n: int, since: int, seconds: int, seed: int) -> list[Event]:
    """Events of random users and posts, a tenth of them liked, within some seconds."""
    rng = np.random.default_rng(seed)
    origin = int((store.meta.origin_at - datetime(1970, 1, 1)).total_seconds())
    at = origin + store.meta.last_at + since + np.sort(rng.integers(0, seconds, n))
    users, posts = (
        rng.choice(ids, n) for ids in (store.catalogue.user_ids, store.catalogue.post_ids)
    )
    liked = (rng.random(n) < 0.1).astype(int)
    columns = (c.tolist() for c in (users, posts, at, liked))
    return [(*row, None) for row in zip(*columns, strict=True)]


def fill(store: FeatureStore, path: Path) -> None:
    """A day of events in a new delta log."""
    log, day = DeltaLog(path), events(store, DAY_OF_EVENTS, 1, 86_400, seed=1)
    began = time.process_time()
    for first in range(0, len(day), BATCH):
        log.append(Happened(events=day[first : first + BATCH]))
    took = time.process_time() - began
    log.close()
    print(f"a day of {len(day):,} events: appended at {len(day) / took:,.0f} a second of processor")


def catch_up(artifact: Path, path: Path) -> None:
    """A worker's catch-up, its processor time and what it adds to private memory."""
    loaded, log = Artifact.load(artifact), DeltaLog(path)
    store = loaded.store
    store.states.as_of(store.shared.n_steps)
    return_freed_memory()
    before, began = memory(os.getpid())["Private_Dirty"], time.process_time()
    tail = Tail(store, loaded.like_window, lambda: log)
    tail.catch_up()
    took = time.process_time() - began
    began = time.process_time()
    tail.store.states.as_of(tail.store.shared.n_steps)
    derived = time.process_time() - began
    return_freed_memory()
    print(f"read and counted at {DAY_OF_EVENTS / took:,.0f} a second of processor; "
          f"{memory(os.getpid())['Private_Dirty'] - before:.0f} MB a worker; "
          f"a state is derived in {1000 * derived:.0f} ms")  # fmt: skip


def arrive(artifact: Path, path: Path, began: float, n_periods: int) -> None:
    """Append `A_SECOND` events a second in every other period."""
    store, log = Artifact.load(artifact).store, DeltaLog(path)
    n = int(A_SECOND * EVERY)
    for number in range(int(n_periods * PERIOD / EVERY)):
        time.sleep(max(0.0, began + number * EVERY - time.time()))
        if int(number * EVERY / PERIOD) % 2:
            log.append(Happened(events=events(store, n, 86_401 + number, 1, seed=2 + number)))


def spawned(job: Callable[..., None], *arguments: object) -> BaseProcess:
    """A started process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=job, args=arguments)
    process.start()
    return process


def requests(store: FeatureStore, seed: int = 3) -> Iterator[str]:
    """Paths of random users in the day after the artifact."""
    rng = np.random.default_rng(seed)
    while True:
        user = rng.choice(store.catalogue.user_ids)
        moment = store.meta.moment(store.meta.last_at + 1 + int(rng.integers(0, 86_400)))
        yield f"/post/recommendations/?id={user}&time={moment.isoformat()}"


def compare(store: FeatureStore, artifact: Path, path: Path, pid: int, port: int, n: int) -> None:
    """Print percentiles and processor time of quiet and of busy periods, and their ratio."""
    began = time.time() + 5
    arriving = spawned(arrive, artifact, path, began, n)
    caller = http.client.HTTPConnection("127.0.0.1", port)
    times: tuple[list[float], list[float]] = ([], [])
    of_processor, since, period = [0.0, 0.0], processor_seconds(pid), -1
    for route in requests(store):
        passed = time.time() - began
        begun = time.perf_counter()
        caller.request("GET", route)
        answer = caller.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        if passed % PERIOD < SETTLING or passed < 0:
            since = processor_seconds(pid)
            continue
        times[int(passed / PERIOD) % 2].append(1000 * (time.perf_counter() - begun))
        if (now := int(passed / PERIOD)) != period:
            since, period = processor_seconds(pid), now
        of_processor[period % 2] += (used := processor_seconds(pid)) - since
        since = used
        if passed > n * PERIOD:
            break
    arriving.join()
    found = [
        np.array([*np.percentile(t, [50, 99]), 1000 * used / len(t)])
        for t, used in zip(times, of_processor, strict=True)
    ]
    for name, (p50, p99, used), of in zip(("quiet", "busy"), found, times, strict=True):
        print(f"{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {used:.2f} ms of processor, {len(of)}")
    print("ratio: p50 {:.2f}, p99 {:.2f}, processor {:.2f}".format(*(found[1] / found[0])))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--periods", type=int, default=16)
    given = parser.parse_args()
    store = Artifact.load(given.artifact).store
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        state.mkdir(mode=0o700)
        path = delta_log_of(state, given.artifact)
        fill(store, path)
        spawned(catch_up, given.artifact, path).join()
        with serving(given.artifact, state, 1) as (pid, port, _):
            time.sleep(8)  # for tables to be derived
            compare(store, given.artifact, path, pid, port, given.periods)


if __name__ == "__main__":
    main()
