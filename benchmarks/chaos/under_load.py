"""Requests without a pause, while artifacts are swapped and processes of the service end."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass

from benchmarks.chaos.process import Process, free_port
from benchmarks.chaos.scene import Row, Scene
from feedrank.artifact.manifest import version_of
from service.serving.worker_registry import live_workers
from tests.support.service.load import PATIENCE, Load, Tally, callers_of

CALLERS = 16
WORKERS = 2
SWAP_PATIENCE = 300.0  # seconds; a swap takes 2, on a machine with ten times its load a minute


@dataclass(frozen=True)
class Kill:
    """A killed worker: its connections' other ports, and the moment."""

    ports: set[int]
    at: float

    def explains(self, port: int, at: float) -> bool:
        """Whether a request was lost by this kill."""
        return port in self.ports and self.at <= at <= self.at + PATIENCE


def kill_worker(process: Process) -> Kill:
    """Kill a worker; stopped first, so that its connections are known."""
    pid = random.choice(process.workers)
    os.kill(pid, signal.SIGSTOP)
    kill = Kill(callers_of(pid), time.monotonic())
    os.kill(pid, signal.SIGKILL)
    return kill


def sigterms(scene: Scene, requests: int, swaps: int, times: int) -> list[Row]:
    """SIGTERM to the supervisor, each after a share of the swaps, and one killed worker."""
    port, kills, failures, n_swaps = free_port(), [], 0, 0
    load = Load(port, scene.paths, CALLERS, 0)
    for turn in range(1, times + 1):
        process = Process(scene.environment, port, WORKERS)
        failures += not process.await_ready()
        while n_swaps < swaps * turn // times:
            n_swaps += 1
            scene.link(n_swaps)
            failures += not followed(scene, n_swaps)
        kills.append(kill_worker(process))
        load.await_answers(requests * turn // times)
        process.end()
        failures += reported(process)
        print(f"SIGTERM {turn}: {failures} failures, {load.tally.words()}", file=sys.stderr)
    tally = load.stop()
    unexplained = [e for e in tally.lost if not any(kill.explains(e.port, e.at) for kill in kills)]
    for lost in unexplained:
        print(lost, file=sys.stderr)
    n_explained = len(tally.lost) - len(unexplained)
    words = f"{n_explained} more on connections of killed workers; {tally.words()}"
    failures += len(unexplained) + tally.n_wrong()
    return [
        Row("requests under load", tally.ended["answered"], failures, words),
        Row("swaps", n_swaps, 0, "in the same load"),
        Row("SIGTERM to the supervisor", times, 0, "in the same load"),
        Row("SIGKILL of a worker", len(kills), 0, "in the same load"),
    ]


def followed(scene: Scene, number: int) -> bool:
    """Whether all workers serve the artifact that the link names, before patience ends."""
    link, wanted = scene.folder / "live", version_of(scene.artifacts[number % 2])
    until = time.monotonic() + SWAP_PATIENCE
    while time.monotonic() < until:
        found = [worker.version for worker in live_workers(scene.folder / "state", link)]
        if found == [wanted] * WORKERS:
            return True
        time.sleep(0.05)
    return False


def supervisor_kills(scene: Scene, times: int) -> Row:
    """SIGKILL of the supervisor: its workers end by themselves, and the next one starts."""
    port, failures = free_port(), 0
    load = Load(port, scene.paths, CALLERS, 1)
    for turn in range(1, times + 1):
        process = Process(scene.environment, port, WORKERS)
        failures += not process.await_ready()
        load.await_answers(200 * turn)
        process.end(signal.SIGKILL)
        failures += reported(process)
    tally: Tally = load.stop()
    words = f"{len(tally.lost)} requests lost by {times} ends without order; {tally.words()}"
    return Row("SIGKILL of the supervisor", times, failures + tally.n_wrong(), words)


def reported(process: Process) -> int:
    """Lines of a log that are faults; they are printed."""
    for line in process.faults():
        print(line, file=sys.stderr)
    return len(process.faults())
