"""Metrics in Prometheus' format, shared by all workers of one parent process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from feedrank.errors import FeedrankError
from feedrank.io.files import private_directory, state_directory

logger = logging.getLogger("feedrank.service")
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemin", "gauge_livemax")
FILE_BYTES = 1 << 20  # of `prometheus_client`, some 5,000 series; ours take a twentieth


def _share_between_workers() -> str | None:
    """Let all workers of one parent write into one directory, so that each can answer for all.

    Must come before the first import of `prometheus_client`, which reads the variable then.
    Returns the reason why metrics are not shared, where they should be.
    """
    parent = _parent()
    if parent is None:
        return None
    try:
        directory = Path(os.environ.get(MULTIPROCESS) or _directory_of(parent))
        _allocate(directory)
    except (OSError, FeedrankError) as error:
        os.environ.pop(MULTIPROCESS, None)
        return str(error)
    os.environ[MULTIPROCESS] = str(directory)
    return None


def _directory_of(parent: int) -> Path:
    """Directory of the workers of one parent; those of parents that ended are removed."""
    state = private_directory(state_directory())
    for path in state.glob("metrics-*"):
        if not _is_alive(path.name.split("-")[-1]):
            shutil.rmtree(path, ignore_errors=True)
    return private_directory(state / f"metrics-{parent}")


def _allocate(directory: Path) -> None:
    """Take the room of this process's files, or raise `OSError` and leave nothing.

    They are mapped into memory: a page that the disk has no room for would end the worker with a
    bus error when it is written.
    """
    paths = [directory / f"{kind}_{os.getpid()}.db" for kind in KINDS]
    try:
        for path in paths:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
    except OSError:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def _parent() -> int | None:
    """Process id of the parent that all workers have: uvicorn's, or gunicorn's, which forks."""
    if os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/"):
        return os.getppid()
    parent = multiprocessing.parent_process()
    return parent.pid if parent else None


def _is_alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


NOT_SHARED = _share_between_workers()

from prometheus_client import (  # noqa: E402
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY = CollectorRegistry()
# Buckets lie densest around the usual answer of 1 to 20 ms and end above the limit of 0.5 s.
SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
POSTS = (10, 50, 100, 200, 300, 400, 500, 750, 1000, 2000, 5000, 10_000)
Mode = Literal["livesum", "livemin", "livemax"]  # how the values of all workers become one


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"feedrank_{name}", meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str, mode: Mode) -> Gauge:
    """A gauge with the way in which the values of all workers become one."""
    return Gauge(f"feedrank_{name}", meaning, labels, registry=REGISTRY, multiprocess_mode=mode)


REQUEST_SECONDS = Histogram(
    "feedrank_request_seconds", "From request to answer.", ["route"], buckets=SECONDS,
    registry=REGISTRY,
)  # fmt: skip
CANDIDATES = Histogram(
    "feedrank_candidates", "Candidates of the first stage, which the trees rank.",
    buckets=POSTS, registry=REGISTRY,
)  # fmt: skip
ANSWERS = _counter("answers", "Answers by route and outcome.", "route", "outcome")
RECOMMENDED = _counter("recommended", "Lists by arm of the A/B test.", "arm")
SWAPS = _counter("swaps", "Hot swaps of an artifact.", "arm")
REFUSALS = _counter("refusals", "New artifacts that failed their checks.", "arm")
CONNECTIONS_REFUSED = _counter("connections_refused", "Connections beyond the limit of one worker.")
EXPOSURES_DROPPED = _counter(
    "exposures_dropped", "Exposures that could not be written in time, and are lost."
)
TASK_ERRORS = _counter("task_errors", "Failed turns of background tasks.", "task")
TASK_FAILING = _gauge(
    "task_failing", "Workers whose last turn of a background task failed.", "task", mode="livesum"
)
PROFILES = _counter(
    "requests_by_profile", "Requests by a profile value of their user.", "arm", "column", "value"
)
WAITING = _gauge("waiting", "Open requests.", mode="livesum")
WORKERS = _gauge(
    "artifact_workers", "Workers that serve an artifact.", "arm", "version", mode="livesum"
)
AS_OF = _gauge(
    "artifact_as_of_seconds", "The last impression in an artifact, Unix time.", "arm",
    mode="livemin",
)  # fmt: skip
DRIFT = _gauge(
    "drift_psi",
    "Population stability index of recent requests against the artifact's reference: below 0.1 "
    "stable, above 0.25 shifted.",
    "arm", "of", mode="livemax",
)  # fmt: skip
PREDICTED = _gauge(
    "predicted_rate", "Mean probability of a like of recommended posts.", "arm", "of",
    mode="livemax",
)  # fmt: skip
EFFECTIVE = _gauge(
    "effective_posts", "Effective number of recommended posts (inverse Simpson).", "arm", "of",
    mode="livemin",
)  # fmt: skip
CATALOGUE = _gauge(
    "catalogue_share", "Share of the catalogue in recent lists.", "arm", mode="livemax"
)

FOLLOWER_BEHIND = _gauge(
    "follower_behind_seconds",
    "Time since the follower of the database last found all that was new; 0 without a follower.",
    mode="livemax",
)  # fmt: skip
FOLLOWER_EVENTS = _gauge(
    "follower_events", "New events since the follower's start.", mode="livemax"
)
FOLLOWER_FAILING = _gauge(
    "follower_failing", "1 if the follower's last poll failed.", mode="livemax"
)


def follows(follower: Mapping[str, Any] | None) -> None:
    """Record how far the follower of the database has come; None for no follower."""
    found = follower or {"behind_seconds": 0.0, "events": 0, "error": None}
    FOLLOWER_BEHIND.set(found["behind_seconds"])
    FOLLOWER_EVENTS.set(found["events"])
    FOLLOWER_FAILING.set(found["error"] is not None)


def warn_if_not_shared() -> None:
    """Log why each worker answers for itself alone, if the workers' metrics are not shared."""
    if NOT_SHARED is not None:
        logger.warning("metrics are of one worker alone", extra={"reason": NOT_SHARED})


def exposition() -> bytes:
    """All metrics of all workers in Prometheus' text format; this one's if they are not shared."""
    directory = os.environ.get(MULTIPROCESS)
    if directory is not None and not Path(directory).is_dir():  # somebody removed it
        del os.environ[MULTIPROCESS]
        reason = f"'{directory}' is gone; start the service again"
        logger.warning("metrics are of one worker alone", extra={"reason": reason})
    if MULTIPROCESS not in os.environ:
        return generate_latest(REGISTRY)
    _forget_dead_workers(Path(os.environ[MULTIPROCESS]))
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_worker(pid: int | None = None) -> None:
    """Take a worker's gauges out of the sums, by default this one's; its counters stay."""
    if MULTIPROCESS in os.environ:
        multiprocess.mark_process_dead(pid or os.getpid())  # type: ignore[no-untyped-call]


def serves(arm: str, version: str, as_of: datetime) -> None:
    """Record the artifact of an arm; `as_of` has an offset."""
    WORKERS.labels(arm, version).set(1)
    AS_OF.labels(arm).set(as_of.timestamp())
    for counter in (SWAPS, REFUSALS):
        counter.labels(arm).inc(0)  # so that it is exported before its first event


def swapped(arm: str, old_version: str) -> None:
    """Record a hot swap."""
    WORKERS.labels(arm, old_version).set(0)
    SWAPS.labels(arm).inc()


def _forget_dead_workers(directory: Path) -> None:
    for path in directory.glob("gauge_live*_*.db"):
        pid = path.stem.split("_")[-1]
        if not _is_alive(pid):
            forget_worker(int(pid))
