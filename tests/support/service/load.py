"""Load: callers that count every request whose answer does not come whole."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path

PATIENCE = 20.0  # seconds for one answer; the limit is 0.5 s, a swap on a busy machine takes a few
MOST_ON_A_CONNECTION = 30  # requests: new connections and kept ones are both common
EXPECTED = ("answered", "busy", "refused", "lost")
REST_SECONDS = 0.02  # after a refused connection


@dataclass(frozen=True)
class Lost:
    """A request that was sent, but not answered whole: own port, moment and error."""

    port: int
    at: float
    error: str


@dataclass
class Tally:
    """Requests by how they ended.

    Attributes:
        ended: counts of `answered`, `busy` (503), `refused` (no connection), other statuses, and
            `lost` (sent, but not answered whole).
        lost: each of the last kind.
    """

    ended: Counter[str] = field(default_factory=Counter)
    lost: list[Lost] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, how: str) -> None:
        """Count one."""
        with self.lock:
            self.ended[how] += 1

    def words(self) -> str:
        """All counts."""
        return ", ".join(f"{n:,} {how}" for how, n in sorted(self.ended.items()))

    def n_wrong(self) -> int:
        """Requests that were answered otherwise than a caller may expect."""
        return sum(n for how, n in self.ended.items() if how not in EXPECTED)

    def lose(self, port: int, error: str) -> None:
        """Count one lost request of a connection."""
        self.add("lost")
        self.lost.append(Lost(port, time.monotonic(), error))


class Load:
    """Callers in threads, from start to `stop`.

    Args:
        port: of the service.
        paths: to ask for, at random.
        callers: threads.
        seed: of their choices.
    """

    def __init__(self, port: int, paths: list[str], callers: int, seed: int) -> None:
        self.tally = Tally()
        self._port, self._paths = port, paths
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(random.Random(seed + n),))
            for n in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def await_answers(self, n: int) -> None:
        """Wait until so many requests were answered since the begin."""
        while self.tally.ended["answered"] < n:
            time.sleep(REST_SECONDS)

    def stop(self) -> Tally:
        """End after the open requests."""
        self._ends.set()
        for thread in self._threads:
            thread.join()
        return self.tally

    def _call(self, draw: random.Random) -> None:
        while not self._ends.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
            except OSError:
                self.tally.add("refused")
                self._ends.wait(REST_SECONDS)
                continue
            with connection:
                for _ in range(draw.randint(1, MOST_ON_A_CONNECTION)):
                    if self._ends.is_set() or not self._ask(connection, draw.choice(self._paths)):
                        break

    def _ask(self, connection: socket.socket, path: str) -> bool:
        """Send one request; whether the connection can take another."""
        port = connection.getsockname()[1]
        try:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: chaos\r\n\r\n".encode())
            answer = HTTPResponse(connection)
            answer.begin()
            answer.read()
        except (OSError, HTTPException) as error:
            self.tally.lose(port, repr(error))
            return False
        self.tally.add({200: "answered", 503: "busy"}.get(answer.status, str(answer.status)))
        return not answer.will_close


def callers_of(pid: int) -> set[int]:
    """Ports of the other ends of a process's connections, from /proc of Linux."""
    inodes = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(str(file.readlink()).removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:
            continue  # closed meanwhile
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[2].rpartition(":")[2], 16) for line in lines if line[9] in inodes}
