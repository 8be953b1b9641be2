"""The follower's process: killed, left without a database or beside another, it loses nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedrank.io.files import private_directory
from feedrank.live.delta_log import DeltaLog, delta_log_of
from service.follower.status import FollowerStatus
from tests.conftest import TestDatabase
from tests.service.follower.test_follower import write_base
from tests.support.postgres_tables import SMALL
from tests.support.service_process import PATIENCE, serving
from tests.support.small_artifact import CODE, PATH

pytest_plugins = ("tests.support.service_fixtures",)
ROWS = """INSERT INTO feed_data SELECT timestamp '2021-10-04' + make_interval(secs => g), g % 7, g,
    'view', 0 FROM generate_series({}, {}) g"""


class Scene:
    """A database, an artifact, and the environment of a follower."""

    def __init__(self, database: TestDatabase, directory: Path) -> None:
        database.execute(SMALL)
        self.database, self.artifact = database, directory / "artifact"
        write_base(self.artifact, [1, 3, 7], [10, 20, 30], [])
        state = private_directory(directory / "state")
        self.log = DeltaLog(delta_log_of(state, self.artifact))
        self.environment = {
            **os.environ,
            "FEED_DSN": database.url,
            "FEEDRANK_ARTIFACT": str(self.artifact),
            "FEEDRANK_STATE": str(state),
            "FEEDRANK_FOLLOW_SECONDS": "0.05",
        }

    @contextmanager
    def follower(self, *options: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """A follower's process; it is ended afterwards."""
        command = [sys.executable, "-m", "service.follower", *options]
        environment = {**self.environment, **more}
        with subprocess.Popen(command, cwd=CODE, env=environment, stdin=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def n_events(self) -> int:
        return len(self.log.events_after(0))

    def status(self) -> FollowerStatus | None:
        return FollowerStatus.read(self.log.path)


@pytest.fixture
def scene(database: TestDatabase, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_follower_killed_at_any_moment_loses_nothing_and_takes_nothing_twice(
    scene: Scene,
) -> None:
    chance, n_rows = random.Random(0), 0
    for _ in range(4):
        with scene.follower():
            for _ in range(chance.randint(1, 5)):
                scene.database.execute(ROWS.format(n_rows, n_rows + 999))
                n_rows += 1000
            wanted = chance.randint(scene.n_events() + 1, n_rows)
            until(lambda: scene.n_events() >= wanted)  # noqa: B023 (called at once)
    with scene.follower():
        until(lambda: scene.n_events() >= n_rows)
    found = Counter(scene.log.events_after(0).post_id.tolist())
    assert found == Counter(range(n_rows))


def test_a_database_that_cannot_be_reached_is_tried_again(scene: Scene) -> None:
    name = scene.database.url.split("/")[-1].split("?")[0]
    server = TestDatabase(scene.database.url.replace(f"/{name}", "/postgres"))
    scene.database.execute(ROWS.format(0, 9))
    with scene.follower():
        until(lambda: scene.n_events() == 10)
        server.alone(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        until(lambda: bool((status := scene.status()) and status.error))
        server.alone(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        scene.database.execute(ROWS.format(10, 19))
        until(lambda: scene.n_events() == 20)
        until(lambda: bool((status := scene.status()) and status.error is None))


def test_a_delta_log_that_was_moved_away_is_filled_again(scene: Scene) -> None:
    scene.database.execute(ROWS.format(0, 9))
    with scene.follower():
        until(lambda: scene.n_events() == 10)
        scene.log.path.rename(scene.log.path.with_name("away"))
        scene.log = DeltaLog(scene.log.path)
        until(lambda: scene.n_events() == 10)


def test_one_follows_and_another_takes_over(scene: Scene) -> None:
    def leader() -> int | None:
        status = scene.status()
        return None if status is None else status.pid

    with scene.follower() as first:
        until(lambda: leader() == first.pid)
        with scene.follower() as second:
            scene.database.execute(ROWS.format(0, 9))
            until(lambda: scene.n_events() == 10)
            assert leader() == first.pid
            first.kill()
            until(lambda: leader() == second.pid)
            scene.database.execute(ROWS.format(10, 19))
            until(lambda: scene.n_events() == 20)


@pytest.mark.parametrize("options", [(), ("--with-parent",)])
def test_sigterm_ends_it_and_says_that_nothing_is_followed(
    scene: Scene, options: tuple[str, ...]
) -> None:
    with scene.follower(*options) as process:
        until(lambda: scene.status() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert scene.status() is None


def test_a_status_that_cannot_be_read_is_a_follower_that_fails(tmp_path: Path) -> None:
    for content in (b"", b"{}", b"[1]", b"\xff"):
        (tmp_path / "delta.follower.json").write_bytes(content)
        status = FollowerStatus.read(tmp_path / "delta.sqlite")
        assert status is not None
        assert "cannot be read" in str(status.error)


def test_it_ends_with_its_parent(scene: Scene) -> None:
    with scene.follower("--with-parent") as process:
        until(lambda: scene.status() is not None)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_the_service_serves_what_its_follower_found_whoever_is_killed(
    scene: Scene, artifact_path: Path, user_id: int, tmp_path: Path
) -> None:
    """All posts of the artifact but those of the database were deleted, so the lists are short."""
    more = {
        "FEED_DSN": scene.database.url,
        "FEEDRANK_FOLLOW": "1",
        "FEEDRANK_FOLLOW_SECONDS": ".05",
    }
    with serving(artifact_path, tmp_path / "other", 2, **more) as server, httpx.Client() as client:

        def listed() -> set[int]:
            path = f"{server.address}{PATH}?id={user_id}&time=2021-12-01T12:00:00"
            return {post["id"] for post in client.get(path).json()}

        def followed() -> dict[str, Any]:
            found: dict[str, Any] | None = client.get(f"{server.address}/ready").json()["follower"]
            return found or {"events": -1}

        until(lambda: listed() == {10, 20, 30})
        scene.database.execute("INSERT INTO post_text_df VALUES (1000000, 'new', 'tech')")
        until(lambda: 1000000 in listed())
        log = delta_log_of(tmp_path / "other", artifact_path)
        status = FollowerStatus.read(log)
        assert status is not None
        os.kill(status.pid, signal.SIGKILL)
        scene.database.execute("DELETE FROM post_text_df WHERE post_id = 10")
        until(lambda: listed() == {20, 30, 1000000})
        row = "INSERT INTO feed_data VALUES ('2021-11-05', {}, 20, 'view', 1)"
        scene.database.execute(row.format(user_id))
        until(lambda: followed()["events"] == 1)
        metrics = client.get(f"{server.address}/metrics").text
        assert "feedrank_follower_failing 0.0" in metrics
    assert FollowerStatus.read(log) is None


def test_without_a_database_it_does_not_start(scene: Scene) -> None:
    with scene.follower(FEED_DSN="demo") as process:
        assert process.wait(PATIENCE) == 1
