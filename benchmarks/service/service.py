"""Load test of a uvicorn process by wrk, over random users and moments.

    python -m benchmarks.service.service models/artifact              # latency, rate, memory
    python -m benchmarks.service.service models/artifact --soak 120   # with hot swaps

wrk is Debian's package. The limits are 0.5 s a request and 4 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.artifact.artifact import Artifact

N_REQUESTS = 20_000  # different ones, in turn: more than any cache of the service holds
SWAP_EVERY = 8.0  # seconds; a swap takes about 2 s, so that both kinds of time are measured
# wrk's own percentiles, since it sees what a caller sees.
LUA = """
local paths, n = {}, 0
for line in io.lines(os.getenv("REQUESTS")) do paths[#paths + 1] = line end
function setup(thread) thread:set("first", math.random(#paths)) end
function request()
  n = n + 1
  return wrk.format("GET", paths[(first + n) % #paths + 1])
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'JSON{"p50":%f,"p95":%f,"p99":%f,"most":%f,"rate":%f,"n":%d,"failed":%d}\\n',
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000,
    latency.max / 1000, summary.requests / summary.duration * 1e6, summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Measured:
    """One run of wrk: milliseconds, requests a second, and how many were not answered with 200."""

    p50: float
    p95: float
    p99: float
    most: float
    rate: float
    n: int
    failed: int


def write_requests(artifact: Path, file: Path, route: str, seed: int = 20) -> None:
    """Random users at random moments within the log, one path a line."""
    store = Artifact.load(artifact).store
    rng = np.random.default_rng(seed)
    users = rng.choice(store.catalogue.user_ids, N_REQUESTS)
    moments = rng.integers(0, store.meta.last_at, N_REQUESTS)
    lines = [
        f"{route}?id={user}&time={store.meta.moment(at).isoformat()}"
        for user, at in zip(users.tolist(), moments.tolist(), strict=True)
    ]
    file.write_text("\n".join(lines) + "\n")


@contextmanager
def serving(artifact: Path, state: Path, workers: int) -> Iterator[tuple[int, int, float]]:
    """Process id, port, and the seconds until it was ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "--port", str(port),
         "--workers", str(workers)],
        env={**os.environ, "FEEDRANK_ARTIFACT": str(artifact), "FEEDRANK_STATE": str(state)},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _is_ready(port):
            assert process.poll() is None, "the service did not start"
            time.sleep(0.02)
        yield process.pid, port, time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def drive(port: int, requests: Path, script: Path, connections: int, seconds: float) -> Measured:
    """Run wrk once."""
    wrk = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s",
         "-s", str(script), f"http://127.0.0.1:{port}"],
        env={**os.environ, "REQUESTS": str(requests)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return parsed(wrk.stdout)


def parsed(output: str) -> Measured:
    """The line that the script has wrk print."""
    found = re.search(r"JSON(.*)", output)
    assert found, output
    return Measured(**json.loads(found[1]))


def memory(parent: int) -> dict[str, float]:
    """Megabytes of all processes of the service: resident, proportional and private."""
    pids = [parent, *_children(parent)]
    total: dict[str, float] = {}
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        for name in ("Rss", "Pss", "Private_Dirty"):
            found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
            total[name] = total.get(name, 0) + int(found[1] if found else 0) / 1024
    return total


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def processor_seconds(parent: int) -> float:
    """Processor time of all processes of the service, which other load hardly changes."""
    ticks = 0
    for pid in [parent, *_children(parent)]:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def row(name: str, m: Measured, seconds: float) -> str:
    """One line of the table; `seconds` of the processor went into it."""
    return (
        f"{name:20} {m.p50:7.1f} {m.p95:7.1f} {m.p99:7.1f} {m.most:8.1f} {m.rate:8.0f} "
        f"{m.n:8} {m.failed:7} {1000 * seconds / max(m.n, 1):12.1f}"
    )


def measure(given: argparse.Namespace, scratch: Path) -> None:
    """Print the table."""
    requests, script = scratch / "requests", scratch / "wrk.lua"
    script.write_text(LUA)
    write_requests(given.artifact, requests, given.route)
    with serving(given.artifact, scratch / "state", given.workers) as (pid, port, ready):
        print(f"ready after {ready:.1f} s; {given.workers} worker(s); {given.route}")
        print(f"{'':20} {'p50 ms':>7} {'p95':>7} {'p99':>7} {'max':>8} {'req/s':>8} "
              f"{'requests':>8} {'failed':>7} {'processor ms':>12}")  # fmt: skip
        runs = [("first 3 s, 1 caller", 1, 3.0)]
        runs += [(f"{n} callers", n, given.seconds) for n in given.connections]
        for number, (name, connections, seconds) in enumerate(runs):
            time.sleep(given.rest if number == 1 else 0)
            before = processor_seconds(pid)
            found = drive(port, requests, script, connections, seconds)
            print(row(name, found, processor_seconds(pid) - before), flush=True)
        print_memory(pid)


def print_memory(pid: int) -> None:
    """One line on the memory of all processes together."""
    m = memory(pid)
    print(f"memory of all processes: {m['Rss']:.0f} MB resident, {m['Pss']:.0f} MB with shared "
          f"pages counted once, {m['Private_Dirty']:.0f} MB private and written")  # fmt: skip


def soak(given: argparse.Namespace, scratch: Path) -> None:
    """Answer under load with repeated hot swaps: none may fail, memory may not grow."""
    requests, script, live = scratch / "requests", scratch / "wrk.lua", scratch / "live"
    script.write_text(LUA)
    write_requests(given.artifact, requests, given.route)
    other = scratch / "other"
    shutil.copytree(given.artifact, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"soak": 1}))
    environment = {
        **os.environ, "FEEDRANK_ARTIFACT": str(live), "FEEDRANK_STATE": str(scratch / "state")
    }  # fmt: skip

    def deploy(*arguments: str) -> None:
        command = [sys.executable, "-m", "service.deploy", *arguments]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    deploy(str(given.artifact), "--force", "soak test")
    with serving(live, scratch / "state", given.workers) as (pid, port, _):
        drive(port, requests, script, 4, 5)
        deploy(str(other), "--force", "soak test")
        deploy("--rollback")
        print("after two swaps: ", end="")
        print_memory(pid)
        until, n_swaps = time.monotonic() + given.soak, 2
        wrk = subprocess.Popen(
            ["wrk", "-t1", "-c4", f"-d{given.soak:g}s", "--timeout", "10s", "-s", str(script),
             f"http://127.0.0.1:{port}"],
            env={**environment, "REQUESTS": str(requests)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while time.monotonic() < until - SWAP_EVERY:
            deploy("--rollback")
            n_swaps += 1
            time.sleep(SWAP_EVERY / 2)
        found = parsed(wrk.communicate()[0])
        print(f"after {n_swaps} swaps: ", end="")
        print_memory(pid)
    print(f"{given.soak:g} s, {found.n} requests, {found.failed} failed; "
          f"p50 {found.p50:.1f}, p99 {found.p99:.1f}, slowest {found.most:.1f} ms")  # fmt: skip
    if found.failed:
        raise SystemExit(1)


def main() -> None:
    """Run the benchmark, or the soak."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--route", default="/post/recommendations/")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 8, 32])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rest", type=float, default=8, help="for tables to be derived, seconds")
    parser.add_argument("--soak", type=float, help="seconds of load with hot swaps")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as scratch:
        (soak if given.soak else measure)(given, Path(scratch))


if __name__ == "__main__":
    main()
