"""A real server process on the loopback, as an operator would start it."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.small_artifact import CODE

PATIENCE = 60.0  # seconds for a line of the log: far more than a start takes


class Server:
    """One started server: its address, its process, and the lines of its log."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.address = f"http://127.0.0.1:{port}"
        self.port = port
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def await_line(self, words: str, times: int = 1) -> None:
        """Return once the log has held these words so many times."""
        while times:
            line = self._queue.get(timeout=PATIENCE)
            assert line is not None, f"the server ended without '{words}': {self.lines}"
            times -= words in line

    def await_listening(self) -> None:
        """Return once a connection is accepted, which a start logs nothing about."""
        while self.process.poll() is None:
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
                return

    def wait(self) -> int:
        """The exit code, once it has ended and its log is read."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as log:
            for line in log:
                self.lines.append(line)
                self._queue.put(line)
        self._queue.put(None)


def start(environment: dict[str, str], workers: int = 1) -> Server:
    """A server that is starting."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "service", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=CODE,
        env={
            **os.environ,
            "FEEDRANK_POLL_SECONDS": "0.05",
            "FEEDRANK_DRAIN_SECONDS": "0.01",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Server(process, port)


@contextmanager
def serving(artifact: Path, state: Path, workers: int = 1, **more: str) -> Iterator[Server]:
    """A server that answers; it is ended afterwards."""
    environment = {"FEEDRANK_ARTIFACT": str(artifact), "FEEDRANK_STATE": str(state), **more}
    server = start(environment, workers)
    try:
        server.await_line("Application startup complete", workers)
        server.await_listening()
        yield server
    finally:
        server.process.terminate()
        server.wait()
