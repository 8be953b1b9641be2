"""Processes: one that answers, or a supervisor of several that share its listener."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from feedrank.errors import ParamsError
from service.server.listener import REFUSABLE, refuse_newcomers
from service.settings import Settings

OWN_FILES = 100  # a worker of two artifacts had 40 open


class Supervisor(Multiprocess):
    """Starts workers again that died; at SIGTERM the shared listener ends with the last of them.

    Args:
        config: of each worker.
        drain_seconds: in which workers still take new connections.
    """

    def __init__(self, config: Config, drain_seconds: float) -> None:
        super().__init__(config, [config.bind_socket()])
        self._drain_seconds = drain_seconds

    def join_all(self) -> None:
        """Wait for the workers, which have been told to shut down."""
        time.sleep(self._drain_seconds)
        for listener in self.sockets:
            refuse_newcomers(listener)
            listener.close()
        super().join_all()


def allow_files(connections: int) -> None:
    """Raise this process's limit of open files to what so many connections need, if it is lower.

    Raises:
        ParamsError: the system allows fewer.
    """
    needed = connections + REFUSABLE + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ParamsError(
            f"FEEDRANK_MAX_CONNECTIONS is {connections}, which needs {needed} open files, but the "
            f"system allows {hard}; set at most {hard - REFUSABLE - OWN_FILES}, or raise the limit "
            "(`ulimit -Hn`)."
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def serve(options: dict[str, Any], settings: Settings) -> None:
    """Answer until a signal ends the process; exit code 3 if the service does not start."""
    config = Config("service.app:app", **options)
    if config.workers > 1:
        supervisor = Supervisor(config, settings.drain_seconds)
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            sys.exit(STARTUP_FAILURE)
        return
    from service.app import app

    listener = config.bind_socket()
    app.state.listener = listener
    server = Server(config)
    server.run([listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)
