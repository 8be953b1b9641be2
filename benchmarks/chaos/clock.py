"""A day of the service's clock in minutes: every timer runs faster, and the time of day jumps.

The service goes by two clocks, the event loop's and `service.server.clock`; it is given both here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import selectors
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

from benchmarks.chaos.process import free_port
from benchmarks.chaos.scene import Row, Scene
from service.app import create_app
from service.monitoring.logs import log_config, log_json
from service.settings import Settings
from tests.support.service.load import Load

SPEED = 500.0  # a day in three minutes; a poll of half a second comes each millisecond
MOST_GROWTH = 10.0  # MB; the heap's own ups and downs were 3
MOST_JUMP = 400  # days, once an hour, forwards or backwards
SECONDS_AN_HOUR = 3600


class FastSelector(selectors.DefaultSelector):
    """Waits for a fraction of what it is asked to."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As its base, in fast motion."""
        return super().select(timeout / SPEED if timeout else timeout)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are short."""

    def __init__(self) -> None:
        super().__init__(FastSelector())

    def time(self) -> float:
        """Seconds of the fast clock."""
        return super().time() * SPEED


def jumping_clock() -> datetime:
    """The time of day in fast motion, set to another day once an hour."""
    seconds = time.monotonic() * SPEED
    jump = random.Random(int(seconds // SECONDS_AN_HOUR)).uniform(-MOST_JUMP, MOST_JUMP)
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
        days=jump, seconds=seconds % SECONDS_AN_HOUR
    )


def resident() -> float:
    """Megabytes of this process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def serve(scene: Scene, hours: float) -> None:
    """Serve in fast motion under load; prints answers, polls and memory as JSON."""
    variables = scene.environment
    settings = Settings(
        artifact=Path(variables["FEEDRANK_ARTIFACT"]), state=Path(variables["FEEDRANK_STATE"]),
        exposures=scene.folder / "exposures", header_seconds=SECONDS_AN_HOUR,
    )  # fmt: skip
    log_json("ERROR")
    config = uvicorn.Config(
        create_app(settings, jumping_clock), port=free_port(), loop=f"{__name__}:FastLoop",
        http="service.server.connection:Connection", timeout_keep_alive=SECONDS_AN_HOUR,
        log_config=log_config("ERROR"),
    )  # fmt: skip
    server = uvicorn.Server(config)
    watch = threading.Thread(target=_watch, args=(server, scene, hours))
    watch.start()
    server.run()
    watch.join()


def _watch(server: uvicorn.Server, scene: Scene, hours: float) -> None:
    while not server.started:
        time.sleep(0.01)
    load = Load(server.config.port, scene.paths, 1, 3)
    seconds, memory = hours * SECONDS_AN_HOUR / SPEED, []
    for _ in range(8):
        time.sleep(seconds / 8)
        memory.append(round(resident(), 1))
    tally = load.stop()
    server.should_exit = True
    print(json.dumps({"memory": memory, "ended": tally.ended}))


def fast_day(scene: Scene, hours: float) -> Row:
    """Memory may not grow after the first eighth; every list is answered and its exposure whole."""
    command = [sys.executable, "-m", "benchmarks.chaos.clock", str(scene.folder), str(hours)]
    done = subprocess.run(command, capture_output=True, text=True)
    *before, last = done.stdout.strip().splitlines() or [""]
    if done.returncode or before:
        print(done.stdout, done.stderr, file=sys.stderr)
        return Row("hours of the clock", int(hours), 1, "see above")
    found = json.loads(last)
    growth = found["memory"][-1] - found["memory"][1]
    n_lines = 0
    for file in (scene.folder / "exposures").iterdir():
        n_lines += sum(isinstance(json.loads(line), dict) for line in file.open())
    n_answered = found["ended"].pop("answered")
    failures = sum(found["ended"].values()) + (growth > MOST_GROWTH) + (n_lines != n_answered)
    words = f"{n_answered:,} answered, {n_lines:,} exposures; MB by eighth: {found['memory']}"
    return Row("hours of the clock, which jumps each hour", int(hours), failures, words)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.clock")
    parser.add_argument("folder", type=Path)
    parser.add_argument("hours", type=float)
    given = parser.parse_args()
    serve(Scene.found_in(given.folder), given.hours)
