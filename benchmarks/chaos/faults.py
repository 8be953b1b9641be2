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
from urllib.parse import quote, unquote

from benchmarks.chaos.process import Process, free_port
from benchmarks.chaos.scene import Row, Scene
from benchmarks.chaos.under_load import reported
from benchmarks.service.service import processor_seconds
from tests.support.service.load import PATIENCE, Load

HEADER_SECONDS = 2.0
BEYOND = 50  # of the silent connections are beyond the limit, of which 100 get an answer
MOST_SPINNING = 0.1  # of a core; an idle service takes 0.01 to 0.03
# Odd requests are drawn from what may stand in each place, valid or not, down to broken bytes.
METHODS = ("GET",) * 12 + ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
PATHS = (
    "/post/recommendations/", "/post/recommendations", "/post/recommendations/variant",
    "/post/recommendations/explain/", "/feed", "/feed/suggestions", "/", "/docs", "/docs/",
    "/health", "/ready/", "/version", "/metrics", "/openapi.json", "/static/../app.py",
    "/static/%2e%2e/app.py", "/static/", "/%00", "/%ff%fe", "/post/" + "x" * 3000, "//",
    "http://elsewhere/feed", "/feed;a=b", "/f%C3%A9ed",
)  # fmt: skip
NAMES = ("id", "id", "time", "time", "limit", "ID", "exp_group", "id[]", "%69d", "ti%CC%81me")
VALUES = (
    "200", "0", "-1", "9" * 400, "1e5", "1.5", "0x1F", "NaN", "", " 200 ", "%00", "%ff", "null",
    "2021-10-20T18:00:00", "2021-10-20T18:00:00%2B14:00", "2021-10-20T18:00:00-99:99",
    "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "-0001-01-01", "20211020",
    "2021-02-30T00:00:00", "2021-10-20T24:00:00", "1e400", "\u0661\u0662", "%F0%9F%92%A5",
    "' OR 1=1 --", "<script>", "{}", "[1]", "5", "100", "101", "a" * 2500,
)  # fmt: skip
HEADERS = (
    "Host: a", "Content-Length: 5", "Range: bytes=0-9999999999", "Range: bytes=5-1",
    "If-None-Match: *", "If-Modified-Since: never", "Expect: 100-continue", "Origin: null",
    "Connection: upgrade", "Upgrade: websocket", "Authorization: Bearer", "X-Request-ID: ä",
    "X-Forwarded-Proto: gopher", "X-Forwarded-For: 1,2,,", "Access-Control-Request-Method: GET",
)  # fmt: skip
BROKEN_HEADERS = (
    "Content-Length: -1", "Content-Length: 5, 6", "Transfer-Encoding: chunked", ": empty",
    "X-Request-ID: \x7f\x01", "bad name: a", "Cookie: a=" + "b" * 100_000,
)  # fmt: skip


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


def odd_request(draw: random.Random) -> bytes:
    """One request: three of four are HTTP, others are broken in a header, the query or any byte."""
    is_broken = draw.random() < 0.25
    values = [draw.choice(VALUES) for _ in range(draw.choice((0, 1, 2, 2, 3, 9)))]
    if not is_broken:
        values = [
            quote(unquote(value, errors="surrogateescape"), errors="surrogateescape")
            for value in values
        ]
    query = "&".join(f"{draw.choice(NAMES)}={value}" for value in values)
    if draw.random() < 0.3:
        query = f"id=200&time=2021-10-20T18:00:00&limit={values[0] if values else 5}"
    version = draw.choice(
        ("HTTP/1.1",) * 6 + ("HTTP/1.0",) + ("HTTP/2.0", "HTTP/9", "") * is_broken
    )
    first = f"{draw.choice(METHODS)} {draw.choice(PATHS)}?{query} {version}"
    headers = draw.sample(HEADERS, draw.choice((0, 1, 1, 2, 4)))
    headers += draw.sample(BROKEN_HEADERS, is_broken)
    body = "12345" if is_broken or "Content-Length: 5" in headers else ""
    request = bytearray("\r\n".join([first, *headers, "", body]).encode(errors="surrogateescape"))
    for _ in range(draw.randrange(8) * is_broken):
        request[draw.randrange(len(request))] = draw.randrange(256)
    return bytes(request)


def status(port: int, request: bytes) -> int:
    """Status of the answer; 0 for a connection that was closed without one."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65_536)
        except ConnectionError:
            return 0
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
