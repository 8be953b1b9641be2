"""Modules on the way of a request, a training row and a metric: those whose code runs.

    python -m benchmarks.ways

The network is the tests' small one. Parameters, the demo and what only writes files are left out.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi.testclient import TestClient

from feedrank.features.row_pass import training_rows
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.validation.fold import run_fold
from feedrank.validation.results.summary import Summary
from service.app import create_app
from service.settings import Settings
from tests.support.small_artifact import MOMENT, PATH, small_params, write_artifact, write_log

ROOT = Path(__file__).parents[1]
LEFT_OUT = ("feedrank/param", "feedrank/demo/")


class Trace:
    """Files of the project whose functions are called."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note a call; the signature is that of `sys.setprofile`."""
        if event == "call" and frame.f_code.co_name != "<module>":
            self.files.add(frame.f_code.co_filename)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Note the calls of this thread and of those that start meanwhile."""
        self.files.clear()
        threading.setprofile(self)
        sys.setprofile(self)
        yield
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]

    def told(self, way: str) -> str:
        """Number of modules, folders and lines of a way, and the modules."""
        inside = [
            Path(f).relative_to(ROOT) for f in list(self.files) if Path(f).is_relative_to(ROOT)
        ]
        kept = [p for p in inside if p.parts[0] in ("feedrank", "service")]
        modules = sorted(str(p) for p in kept if not str(p).startswith(LEFT_OUT))
        folders = {str(Path(m).parent) for m in modules}
        n_lines = sum(len((ROOT / m).read_text().splitlines()) for m in modules)
        head = f"{way}: {len(modules)} modules in {len(folders)} folders, {n_lines:,} lines"
        return "\n  ".join([head, *modules])


def main() -> None:
    """Print the three ways."""
    os.environ["FEEDRANK_WORKERS"] = "1"  # another process would not be traced
    trace, params = Trace(), small_params()
    validate = replace(params.validate, requests=100, bootstrap=50, folds=1)
    with tempfile.TemporaryDirectory(prefix="feedrank-ways-") as scratch:
        folder = Path(scratch)
        write_artifact(folder / "artifact", folder, params)
        log = write_log(folder / "again", params)
        with trace.on():
            rows = training_rows(log, fit_store(log, params), params)
        print(trace.told("a training row"))
        (fold,) = Calendar.of(log.meta, None, None).folds(1)
        with trace.on():
            results = [
                run_fold(log, folder / "features", rows, fold, replace(params, validate=validate))
            ]
            Summary.of(results, validate).metrics(None)
        print(trace.told("a metric"))
        settings = Settings(
            artifact=folder / "artifact", exposures=folder / "exposures", state=folder / "state"
        )
        with trace.on(), TestClient(create_app(settings)) as client:
            trace.files.clear()  # what ran on starting
            client.get(PATH, params={"id": 200, "time": MOMENT, "limit": 5}).raise_for_status()
            print(trace.told("a request"))


if __name__ == "__main__":
    main()
