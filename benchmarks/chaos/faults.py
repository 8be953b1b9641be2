"""Faults that come from outside: odd requests, silent connections, a full disk."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.chaos.odd_requests import odd_request, status
from benchmarks.chaos.process import Process, free_port
from benchmarks.chaos.scene import Row, Scene
from benchmarks.chaos.under_load import reported
from benchmarks.service.service import processor_seconds
from tests.support.service.load import Load

HEADER_SECONDS = 2.0
BEYOND = 50  # of the silent connections are beyond the limit, of which 100 get an answer
MOST_SPINNING = 0.1  # of a core; an idle service takes 0.01 to 0.03


def odd(scene: Scene, times: int) -> Row:
    """Odd requests: none may be answered by a 5xx, end the process or leave a traceback."""
    process, draw = Process(scene.environment, free_port()), random.Random(0)
    failures, found = int(not process.await_ready()), Counter[int]()
    for _ in range(times):
        request = odd_request(draw)
        found[status(process.port, request)] += 1
        if max(found) >= 500:
            print(request, file=sys.stderr)
            break
    process.end()
    words = ", ".join(f"{n:,} {code or 'closed'}" for code, n in sorted(found.items()))
    return Row(
        "odd requests", found.total(), failures + reported(process) + (max(found) >= 500), words
    )


def silent(scene: Scene, n: int) -> Row:
    """Silent connections: closed by the time-out; those beyond the limit are refused by words."""
    limits = {
        "FEEDRANK_MAX_CONNECTIONS": str(n - BEYOND),
        "FEEDRANK_HEADER_SECONDS": str(HEADER_SECONDS),
    }
    process = Process({**scene.environment, **limits}, free_port())
    failures = int(not process.await_ready())
    open_ones = [socket.create_connection(("127.0.0.1", process.port)) for _ in range(n)]
    refused = status(process.port, b"GET /health HTTP/1.1\r\nHost: chaos\r\n\r\n")
    failures += refused != 503
    before, since = processor_seconds(process.process.pid), time.monotonic()
    for connection in open_ones:
        connection.settimeout(5 * HEADER_SECONDS)
        failures += _left_open(connection)
    share = (processor_seconds(process.process.pid) - before) / (time.monotonic() - since)
    failures += status(process.port, b"GET /health HTTP/1.1\r\nHost: chaos\r\n\r\n") != 200
    process.end()
    words = f"closed after {HEADER_SECONDS:g} s; one more got {refused}; {share:.2f} of a core"
    return Row(
        "silent connections", n, failures + (share > MOST_SPINNING) + reported(process), words
    )


def _left_open(connection: socket.socket) -> bool:
    with connection:
        try:
            return bool(connection.recv(1))
        except ConnectionError:
            return False
        except TimeoutError:
            return True


def full_disk(scene: Scene, requests: int) -> Row:
    """A disk that is full while exposures are written: lists go on, lines stay whole."""
    disk = scene.folder / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
    )
    if mount.returncode:
        return Row("full disk for exposures", 0, 0, f"not tried: {mount.stderr.strip()}")
    try:
        return _on(disk, scene, requests)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _on(disk: Path, scene: Scene, requests: int) -> Row:
    process = Process({**scene.environment, "FEEDRANK_EXPOSURES": str(disk)}, free_port())
    failures = int(not process.await_ready())
    load = Load(process.port, scene.paths, 4, 2)
    load.await_answers(requests // 2)
    failures += not process.await_events("background task failed", 1)
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    load.await_answers(requests)
    failures += not process.await_events("background task recovered", 1)
    tally = load.stop()
    process.end()
    lines = [line for file in disk.iterdir() for line in file.read_text().splitlines()]
    failures += sum(not isinstance(json.loads(line), dict) for line in lines)
    failures += len(lines) != tally.ended["answered"]
    failures += len(tally.lost) + tally.n_wrong()
    return Row(
        "lists while the disk is full",
        requests,
        failures,
        f"{tally.words()}; {len(lines):,} exposures",
    )
