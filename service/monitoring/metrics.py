"""What Prometheus reads."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


def _share_between_workers() -> None:
    """Let all workers of one parent write into one directory, so that any can answer for all.

    Must come before the first import of `prometheus_client`, which reads the variable then.
    """
    parent = multiprocessing.parent_process()
    if parent is None or MULTIPROCESS in os.environ:
        return
    _remove_of_the_dead()
    directory = Path(gettempdir()) / f"feedrank-metrics-{parent.pid}"
    directory.mkdir(exist_ok=True)
    os.environ[MULTIPROCESS] = str(directory)


def _remove_of_the_dead() -> None:
    for path in Path(gettempdir()).glob("feedrank-metrics-*"):
        if not _lives(path.name.split("-")[-1]):
            shutil.rmtree(path, ignore_errors=True)


def _lives(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


_share_between_workers()

from prometheus_client import (  # noqa: E402
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
REGISTRY = CollectorRegistry()

REQUEST_SECONDS = Histogram(
    "feedrank_request_seconds", "From request to answer.", ["route"], buckets=SECONDS,
    registry=REGISTRY,
)  # fmt: skip
ANSWERS = Counter(
    "feedrank_answers", "Answers by route and outcome.", ["route", "outcome"], registry=REGISTRY
)
RECOMMENDED = Counter(
    "feedrank_recommended", "Lists by group of the comparison.", ["group"], registry=REGISTRY
)
CANDIDATES = Histogram(
    "feedrank_candidates", "Posts left by the first score, then ranked.",
    buckets=(10, 50, 100, 200, 300, 400, 500, 750, 1000, 2000, 5000, 10_000), registry=REGISTRY,
)  # fmt: skip
WORKERS = Gauge(
    "feedrank_artifact_workers", "Workers that serve an artifact.", ["group", "version"],
    registry=REGISTRY, multiprocess_mode="livesum",
)  # fmt: skip
AS_OF = Gauge(
    "feedrank_artifact_as_of_seconds", "The last impression an artifact knows, Unix time.",
    ["group"], registry=REGISTRY, multiprocess_mode="livemin",
)  # fmt: skip
SWAPS = Counter("feedrank_swaps", "Artifacts swapped in.", ["group"], registry=REGISTRY)
REFUSALS = Counter(
    "feedrank_refusals", "New artifacts that failed their checks.", ["group"], registry=REGISTRY
)
WAITING = Gauge(
    "feedrank_waiting", "Requests that wait or are worked on.", registry=REGISTRY,
    multiprocess_mode="livesum",
)  # fmt: skip
ASKED = Counter(
    "feedrank_asked_users", "Requests by a profile value of their user.",
    ["group", "column", "value"], registry=REGISTRY,
)  # fmt: skip
DRIFT = Gauge(
    "feedrank_drift_psi", "Population stability index of the last requests against the artifact's "
    "own snapshot: below 0.1 alike, above 0.25 others.",
    ["group", "of"], registry=REGISTRY, multiprocess_mode="livemax",
)  # fmt: skip
PREDICTED = Gauge(
    "feedrank_predicted_rate", "Mean probability of a like of what was recommended.",
    ["group", "of"], registry=REGISTRY, multiprocess_mode="livemax",
)  # fmt: skip
EFFECTIVE = Gauge(
    "feedrank_effective_posts", "How many posts share the lists as if evenly (inverse Simpson).",
    ["group", "of"], registry=REGISTRY, multiprocess_mode="livemin",
)  # fmt: skip
CATALOGUE = Gauge(
    "feedrank_catalogue_share", "Share of the catalogue among the last lists.",
    ["group"], registry=REGISTRY, multiprocess_mode="livemax",
)  # fmt: skip


def exposition() -> bytes:
    """All metrics of all workers in Prometheus' text format."""
    if MULTIPROCESS not in os.environ:
        return generate_latest(REGISTRY)
    _forget_dead_workers(Path(os.environ[MULTIPROCESS]))
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_worker() -> None:
    """Take this worker's gauges out of the sums: it is leaving."""
    if MULTIPROCESS in os.environ:
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def count_refusals(group: str, n: int) -> None:
    """Bring the counter of refusals up to `n`."""
    known = _refusals.get(group, 0)
    REFUSALS.labels(group).inc(max(n - known, 0))
    _refusals[group] = n


def unix_seconds(at: datetime) -> float:
    """Unix time of a naive moment, read as UTC."""
    return at.replace(tzinfo=UTC).timestamp()


_refusals: dict[str, int] = {}


def _forget_dead_workers(directory: Path) -> None:
    """Take gauges of workers that were killed out of the sums; their counters stay."""
    for path in directory.glob("gauge_live*_*.db"):
        pid = path.stem.split("_")[-1]
        if not _lives(pid):
            multiprocess.mark_process_dead(int(pid))  # type: ignore[no-untyped-call]
