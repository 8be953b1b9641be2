"""A service under test: started, read and ended by signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

PATIENCE = 60.0  # seconds for a start: far more than it takes


class Process:
    """`python -m service`, and the lines that it prints.

    Attributes:
        lines: all of them, in order.
    """

    def __init__(self, environment: dict[str, str], port: int, workers: int = 1) -> None:
        self.port = port
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "--port", str(port), "--workers", str(workers)],
            env={**os.environ, **environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def workers(self) -> list[int]:
        """Process ids of the supervisor's workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(c) for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]

    def await_ready(self) -> bool:
        """Wait until `/ready` answers 200; false if the process ended instead."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5):
                    return True
            except OSError:
                time.sleep(0.05)
        return False

    def await_events(self, event: str, times: int) -> bool:
        """Wait until the log has held an event so many times; false if it does not in time."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            if self.count(event) >= times:
                return True
            time.sleep(0.02)
        return False

    def count(self, event: str) -> int:
        """How often the log has held an event."""
        return sum(f'"event": "{event}' in line for line in list(self.lines))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end of it and its workers, and give the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)  # workers hold the pipe until they end
        return code

    def faults(self) -> list[str]:
        """Lines that are no JSON, and those that hold a traceback."""
        return [line for line in self.lines if not _is_json(line) or '"traceback"' in line]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as log:
            for line in log:
                if '"event": "answered"' not in line or not _is_json(line):
                    self.lines.append(line)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
