"""Reference installation on this machine: cost of each stage as the network grows.

    make full-size        (or: python -m benchmarks.scale.full_size)

Simulates the reference installation in an embedded PostgreSQL, runs every stage in a scratch
folder, asks the service, and writes `docs/benchmarks.md`. A network of ten times the users follows,
whose log is written straight into files: no database here holds it. `--shares 0.01 0.1 0.3 1`
measures other sizes, as shares of the users. Needs about 30 GB of disk, and wrk for the service. A
run that was stopped continues from its last measurement; `--afresh` starts over.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.scale.full_size_page import UNKNOWN, page
from feedrank.log.files import Log
from tests.support.checkout import copy_tracked

REFERENCE_USERS = 163_205  # of the course's network
SHARES = (1.0, 10.0)
FILL = """
from pathlib import Path
from feedrank.extraction.environment import Database
from feedrank.params import load_params
with Database.of_environment(Path("data/demo"), Path("data/log"), load_params()):
    pass
"""
# As of a log of users, whose true hit rates nobody knows.
WITHOUT_TRUTH = """
from pathlib import Path
from feedrank.engines.processes import import_ahead
import_ahead("feedrank.validation.results.summary", "feedrank.oracle.true_hit_rates")
from stages import validate
validate.TRUTH = Path("data/no truth")
validate.run(validate.main)
"""
BUILD = {
    "features": ["-m", "stages.features"],
    UNKNOWN: ["-c", WITHOUT_TRUTH],
    **{stage: ["-m", f"stages.{stage}"] for stage in ("validate", "train", "export")},
}
FROM_DATABASE = {
    "fill": ["-c", FILL],
    "source": ["-m", "stages.source"],
    "extract": ["-m", "stages.extract"],
    **BUILD,
    "checker": ["-m", "stages.checker"],
}
FROM_LOG = {"log": ["-m", "benchmarks.scale.large_log"], **BUILD}
EVERY = 0.2  # seconds between two samples of memory; a peak of less may be missed
PAGE = Path("docs/benchmarks.md")


@dataclass(frozen=True)
class Cost:
    """Cost of one command.

    Attributes:
        seconds: on the clock.
        processor: seconds of all its processes.
        largest: resident bytes of its largest process at their peak.
        together: bytes of all its processes, shared pages counted once, at their peak.
    """

    seconds: float
    processor: float
    largest: int
    together: int


class Watch(threading.Thread):
    """Samples memory and processor time of a process and its descendants, without servers."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.largest = self.together = 0
        self._root = psutil.Process(pid)
        self._processor: dict[int, float] = {}
        self.start()

    @property
    def processor(self) -> float:
        """Seconds so far."""
        return sum(self._processor.values())

    def run(self) -> None:
        """Sample until the process has ended."""
        while self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE:
            together = 0
            for process in self._family():
                try:
                    memory, times = process.memory_full_info(), process.cpu_times()
                except psutil.Error:
                    continue
                together += memory.pss
                self.largest = max(self.largest, memory.rss)
                self._processor[process.pid] = times.user + times.system
            self.together = max(self.together, together)
            time.sleep(EVERY)

    def _family(self) -> list[psutil.Process]:
        try:
            found = [self._root, *self._root.children(recursive=True)]
            return [p for p in found if "postgres" not in p.name()]
        except psutil.Error:
            return []


def main() -> None:
    """Measure every size without an earlier measurement, then write the page."""
    given = _arguments()
    if min(given.shares) > 1:
        raise SystemExit("name a share of 1 or less too: the page is of a network in a database")
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    if given.afresh:
        shutil.rmtree(given.directory, ignore_errors=True)
    results = [_of_share(given.directory / f"{100 * share:g}", share) for share in given.shares]
    PAGE.write_text(page(_machine(), results))
    print(f"wrote {PAGE}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--directory", type=Path, default=Path("tmp/full-size"))
    parser.add_argument("--afresh", action="store_true", help="forget earlier measurements")
    return parser.parse_args()


def _of_share(folder: Path, share: float) -> dict[str, Any]:
    """Measurements of one size, kept in `measured.json` stage by stage."""
    kept = folder / "measured.json"
    measured = json.loads(kept.read_text()) if kept.exists() else {"share": share, "stages": {}}
    if not measured["stages"]:
        _prepare(folder, share)
    for name, command in (FROM_DATABASE if share <= 1 else FROM_LOG).items():
        if name in measured["stages"]:
            continue
        print(f"{share:.0%}: {name}", flush=True)
        measured["stages"][name] = asdict(_cost(folder, command))
        kept.write_text(json.dumps(measured, indent=2))
    if "service" not in measured:
        measured |= _sizes(folder) | {"service": _service(folder)}
        measured["metrics"] = json.loads((folder / "reports/metrics.json").read_text())
        kept.write_text(json.dumps(measured, indent=2))
    return measured


def _prepare(folder: Path, share: float) -> None:
    """Copy the tracked files to a folder, with a share of the users."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy_tracked(Path.cwd(), folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["demo"] |= {"kind": "course", "users": round(share * REFERENCE_USERS)}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def _cost(folder: Path, command: list[str]) -> Cost:
    environment = {k: v for k, v in os.environ.items() if k != "FEED_DSN"}
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment)
    watch = Watch(process.pid)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)[:60]} failed in {folder}")
    return Cost(time.monotonic() - began, watch.processor, watch.largest, watch.together)


def _sizes(folder: Path) -> dict[str, Any]:
    meta = Log.open(folder / "data/log").meta
    places = ("data/demo", "data/log", "data/features", "data/rows", "models/artifact")
    return {
        "users": meta.n_users,
        "impressions": meta.n_impressions,
        "feed_rows": meta.n_impressions + meta.n_likes,
        "bytes": {
            place: _bytes(folder / place)
            for place in (*places, "models/checker")
            if (folder / place).exists()
        },
    }


def _bytes(directory: Path) -> int:
    return sum(p.stat().st_size for p in directory.rglob("*") if p.is_file())


def _service(folder: Path) -> str:
    """The output of `benchmarks.service.service`."""
    artifact = (folder / "models/artifact").resolve()
    command = [sys.executable, "-m", "benchmarks.service.service", str(artifact)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[2]
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}; load over the last quarter of "
        f"an hour {load:.1f}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
