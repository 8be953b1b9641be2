"""A followed database: follower and workers are killed, the server stops, rows come meanwhile."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from calendar import timegm
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import psycopg2
from sqlalchemy.engine import make_url

from benchmarks.chaos.process import Process, free_port
from benchmarks.chaos.scene import Row, Scene
from benchmarks.chaos.under_load import reported
from feedrank.artifact.artifact import Artifact
from feedrank.demo.fill import ensure_demo
from feedrank.io.files import private_directory
from feedrank.live.delta_log import DeltaLog, delta_log_of
from feedrank.live.events import IMPRESSION, LIKED
from service.follower.status import FollowerStatus
from tests.support.small_artifact import PATH, SMALL

BATCHES, BATCH = 10, 100  # rows of a transaction, and transactions of a turn
BURST_SECONDS = 1.0  # in which a turn's rows come, and its kill
APART = 5  # seconds between two rows, so that rows of fifty turns are days
NEW = 1_000_000  # ids from here on are of new users and posts, one of each a turn
WORKER_TURNS, DATABASE_TURNS = 2, 5  # a worker is killed, and the server stops, every so many turns
PATIENCE = 300.0  # seconds to catch up
LATER = "2022-12-01T00:00:00"  # after all rows: answered as the last moment


class Network:
    """The database of the scene's network, and the rows that come after the artifact."""

    def __init__(self, folder: Path, artifact: Artifact) -> None:
        catalogue = artifact.store.catalogue
        self.users, self.posts = catalogue.user_ids.tolist(), catalogue.post_ids.tolist()
        self._end, self._folder, self._n = artifact.as_of, folder, 0
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        """Start its server."""
        self.url = self._stack.enter_context(ensure_demo(self._folder, SMALL))

    def stop(self) -> None:
        """Stop its server, which ends all connections."""
        self._stack.close()

    def execute(self, *statements: str) -> list[tuple]:
        """Run statements in one transaction; the rows of the last one."""
        url = make_url(self.url).set(drivername="postgresql")
        with (
            closing(psycopg2.connect(url.render_as_string(hide_password=False))) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows

    def burst(self) -> None:
        """Rows of one turn, a new user and a new post among them, however often it must try."""
        turn = self._n // (BATCH * BATCHES)
        self._insert(
            f"INSERT INTO user_data (user_id, age) VALUES ({NEW + turn}, 30)",
            f"INSERT INTO post_text_df VALUES ({NEW + turn}, 'new words', 'tech')",
        )
        for _ in range(BATCHES):
            time.sleep(BURST_SECONDS / BATCHES)
            rows = [self._row(NEW + turn) for _ in range(BATCH)]
            self._insert(f"INSERT INTO feed_data VALUES {', '.join(rows)}")

    def _row(self, new: int) -> str:
        self._n += 1
        at = self._end + timedelta(seconds=APART * self._n)
        user, post = random.choice([*self.users, new]), random.choice([*self.posts, new])
        return f"('{at}', {user}, {post}, 'view', {int(random.random() < 0.2)})"

    def _insert(self, *statements: str) -> None:
        while True:
            try:
                self.execute(*statements)
                return
            except psycopg2.OperationalError:  # the server stops; it starts again
                time.sleep(0.1)

    def events(self) -> Counter[tuple[int, int, int, int]]:
        """Each row after the artifact, once, as the delta log holds it."""
        rows = self.execute(
            "SELECT DISTINCT user_id, post_id, timestamp, target FROM feed_data "
            f"WHERE action = 'view' AND timestamp > '{self._end}'"
        )
        return Counter(
            (user, post, _second(at), LIKED if target else IMPRESSION)
            for user, post, at, target in rows
        )


def _second(at: datetime) -> int:
    return timegm(at.timetuple())


class Followed:
    """A service that follows a network."""

    def __init__(self, scene: Scene, network: Network, name: str, workers: int) -> None:
        state = private_directory(scene.folder / name)
        more = {"FEEDRANK_FOLLOW": "1", "FEEDRANK_FOLLOW_SECONDS": "0.05", "FEED_DSN": network.url}
        environment = {**scene.environment, "FEEDRANK_STATE": str(state), **more}
        self.process = Process(environment, free_port(), workers)
        self._path = delta_log_of(state, scene.folder / "live")
        self.is_ready = self.process.await_ready() and _await(lambda: self.pid is not None)

    @property
    def pid(self) -> int | None:
        """Of the follower, once it has connected."""
        status = FollowerStatus.read(self._path)
        return None if status is None else status.pid

    def kill(self) -> bool:
        """Kill the follower; whether there was one."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
        return pid is not None

    def holds(self, network: Network) -> bool:
        """Whether the delta log comes to hold each row once, and no other."""
        wanted = network.events()
        with closing(DeltaLog(self._path)) as log:

            def found() -> Counter[tuple[int, int, int, int]]:
                events = log.events_after(0, most=2 * len(wanted))
                columns = (events.user_id, events.post_id, events.at, events.kind)
                return Counter(zip(*(column.tolist() for column in columns), strict=True))

            return _await(lambda: found() == wanted)

    def lists(self, users: list[int]) -> list[str]:
        """Lists of all users."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.process.port}", timeout=60) as client:
            return [client.get(f"{PATH}?id={user}&time={LATER}&limit=20").text for user in users]


def _await(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def kills(scene: Scene, times: int) -> list[Row]:
    """Kill the follower so many times, workers and the server beside it; then compare with calm."""
    network = Network(scene.folder / "database", Artifact.load(scene.artifacts[0]))
    scene.link(0)
    followed = Followed(scene, network, "state-followed", 2)
    failures, n_workers, n_stops = int(not followed.is_ready), 0, 0
    for turn in range(1, times + 1):
        burst = threading.Thread(target=network.burst)
        burst.start()
        time.sleep(random.uniform(0, BURST_SECONDS))
        killed = followed.pid
        failures += not followed.kill()
        if turn % WORKER_TURNS == 0:
            os.kill(random.choice(followed.process.workers), signal.SIGKILL)
            n_workers += 1
        if turn % DATABASE_TURNS == 0:
            network.stop()
            network.start()
            n_stops += 1
        burst.join()
        failures += not _await(lambda: followed.pid != killed)  # noqa: B023 (called at once)
        print(f"follower, kill {turn}: {failures} failures", file=sys.stderr)
    is_whole = followed.holds(network)
    calm = Followed(scene, network, "state-calm", 1)
    users = [*network.users, *range(NEW, NEW + times)]
    is_equal = calm.holds(network) and _await(lambda: followed.lists(users) == calm.lists(users))
    for one in (followed, calm):
        one.process.end()
        failures += reported(one.process)
    n_rows = sum(network.events().values())
    network.stop()
    words = f"{n_rows:,} rows inserted meanwhile, each once in the delta log: {is_whole}"
    beside = f"beside it; {len(users)} lists equal those of a service left alone: {is_equal}"
    return [
        Row("SIGKILL of the follower", times, failures + (not is_whole), words),
        Row("SIGKILL of a worker that follows", n_workers, int(not is_equal), beside),
        Row("the followed database stops, and starts again", n_stops, 0, "in the same run"),
    ]
