"""The service under faults: kills, swaps, odd requests, silent connections, full disks, clocks.

    make chaos        (or: python -m benchmarks.chaos.service --full)

Works on a small artifact in a scratch folder. Prints tries and failures; exit code 1 for a failure.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos import clock, faults, follower, under_load
from benchmarks.chaos.scene import Row, Scene, counts

# Option: tries of the usual run, which takes minutes, and of the full one.
COUNTS = {
    "requests": (5_000, 100_000),
    "swaps": (4, 50),
    "sigterms": (2, 20),
    "supervisors": (1, 5),
    "odd": (1_000, 10_000),
    "silent": (500, 500),
    "disk": (2_000, 10_000),
    "hours": (4, 24),
    "followers": (5, 50),
}


def plan(scene: Scene, n: argparse.Namespace) -> list[Callable[[], Row | list[Row]]]:
    """The parts that have a count, none of them run."""
    parts: list[tuple[int, Callable[[], Row | list[Row]]]] = [
        (n.odd, lambda: faults.odd(scene, n.odd)),
        (n.silent, lambda: faults.silent(scene, n.silent)),
        (n.disk, lambda: faults.full_disk(scene, n.disk)),
        (n.supervisors, lambda: under_load.supervisor_kills(scene, n.supervisors)),
        (n.hours, lambda: clock.fast_day(scene, n.hours)),
        (n.followers, lambda: follower.kills(scene, n.followers)),
        (n.requests, lambda: under_load.sigterms(scene, n.requests, n.swaps, n.sigterms)),
    ]
    return [part for count, part in parts if count]


def main() -> int:
    """Print one line for each fault, as Markdown."""
    given = counts("benchmarks.chaos.service", COUNTS)
    random.seed(0)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="feedrank-chaos-") as scratch:
        for part in plan(Scene.made_in(Path(scratch)), given):
            found = part()
            rows += found if isinstance(found, list) else [found]
            print(rows[-1], file=sys.stderr, flush=True)
    print("| fault | tries | failures | |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.name} | {row.tries:,} | {row.failures} | {row.words} |")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
