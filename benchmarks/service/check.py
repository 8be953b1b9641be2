"""Check of the running service by the course's limits: hit rate, time and memory.

    make serve                     # in another terminal
    make check                     # or: python -m benchmarks.service.check http://127.0.0.1:8000

Plays 2,000 (user, moment) pairs one after another over one connection. Users and moments are those
of the service's artifact; the hit rate is that of the lists by the demo's truth.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
import psutil

from service.settings import Settings
from tests.support.course.requests import (
    MOST_MEGABYTES,
    MOST_SECONDS,
    N_REQUESTS,
    K,
    Request,
    draw_requests,
    hit_rate,
    load_artifact,
)


def ask(host: str, requests: list[Request]) -> tuple[list[list[int]], np.ndarray]:
    """Ids of each list, and the milliseconds that each answer took.

    Raises:
        SystemExit: no service answers, or an answer is an error.
    """
    connection = http.client.HTTPConnection(host, timeout=10)
    lists, milliseconds = [], []
    for user_id, moment in requests:
        path = "/post/recommendations/?" + urlencode({"id": user_id, "time": moment, "limit": K})
        began = time.perf_counter()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise SystemExit(
                f"error: no service answers at {host} ({error}). Run `make serve`."
            ) from None
        milliseconds.append(1000 * (time.perf_counter() - began))
        if answer.status != 200:
            raise SystemExit(f"error: {path} is answered with {answer.status}: {content.decode()}")
        lists.append([post["id"] for post in json.loads(content)])
    return lists, np.array(milliseconds)


def megabytes(port: int) -> float | None:
    """Resident memory of all processes that listen at a port; None if none does on this machine."""
    used = [p.memory_info().rss for p in psutil.process_iter() if _listens(p, port)]
    return sum(used) / 2**20 if used else None


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("inet")
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def table(milliseconds: np.ndarray, used: float | None, rate: float | None) -> list[str]:
    """Measured values beside the course's limits."""
    p50, p99, most = np.percentile(milliseconds, [50, 99, 100])
    limit = f"{1000 * MOST_SECONDS:.0f} ms"
    return [
        f"{'':20}{'measured':>12}{'limit':>12}",
        f"{'hit rate (true)':20}{'unknown' if rate is None else f'{rate:.4f}':>12}",
        f"{'p50':20}{f'{p50:.1f} ms':>12}{limit:>12}",
        f"{'p99':20}{f'{p99:.1f} ms':>12}{limit:>12}",
        f"{'slowest':20}{f'{most:.1f} ms':>12}{limit:>12}",
        f"{'memory':20}{'unknown' if used is None else f'{used:.0f} MB':>12}"
        f"{f'{MOST_MEGABYTES} MB':>12}",
    ]


def main() -> None:
    """Play, print, and fail if a limit is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--artifact", type=Path, default=Settings.from_environment().artifact)
    parser.add_argument("--requests", type=int, default=N_REQUESTS)
    given = parser.parse_args()
    store = load_artifact(given.artifact).store
    requests = draw_requests(store, given.requests)
    address = urlsplit(given.address)
    lists, milliseconds = ask(address.netloc, requests)
    used = megabytes(address.port or 80)
    print(f"{len(requests)} requests at {given.address}")
    print("\n".join(table(milliseconds, used, hit_rate(store, requests, lists))))
    p99 = np.percentile(milliseconds, 99)  # one request of 2,000 may meet a busy machine
    if p99 > 1000 * MOST_SECONDS or (used or 0) > MOST_MEGABYTES:
        sys.exit("error: a limit is broken")


if __name__ == "__main__":
    main()
