"""Costs of a view, a user, a post and a step: the constants of docs/scale.md.

    python -m benchmarks.scale.scale tmp/scale --users 5300 21200

A network of each size is simulated without a database and learned in one process. Times are of the
processor, less sensitive to other load than the clock; bytes of answers are those that a cluster
would send.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import shutil
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.demo.simulation import Network
from feedrank.engines.engine import Engine, using
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features.row_pass import training_rows
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.params import Params, load_params
from feedrank.state.feature_store import FeatureStore
from feedrank.state.shared import SharedHistory
from feedrank.validation.fold import run_fold
from feedrank.validation.replay.requests import n_asked
from tests.support.network.log_files import write_simulated_log

# Few rows, but some of every step; 20 states even out the noise of one.
BUCKETS, FEW_ROWS, STATES = 8, 50_000, 20


class Measured(Engine):
    """An engine of this process alone, which measures processor seconds and bytes by job."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.answers: Counter[str] = Counter()
        self.jobs: Counter[str] = Counter()
        self.memory: Counter[str] = Counter()

    def map_parts(self, function: Callable[[int], Any], n_parts: int, words: str) -> Iterator[Any]:
        """Each part's answer, measured."""
        self.jobs[words] = len(pickle.dumps(function))
        self.seconds[words] = []
        for part in range(n_parts):
            since = time.process_time()
            answer = function(part)
            self.seconds[words].append(time.process_time() - since)
            self.answers[words] += len(pickle.dumps(answer, protocol=5))
            yield answer
        tracemalloc.start()
        function(0)
        self.memory[words] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    def work(self, words: str) -> float:
        """Seconds of all parts; the first also fills caches, so the mean of the others is used."""
        return float(np.mean(self.seconds[words][1:]) * len(self.seconds[words]))


def _simulated(directory: Path, users: int) -> Log:
    network = Network.simulate(replace(load_params().demo, kind="course", users=users))
    shutil.rmtree(directory, ignore_errors=True)
    return write_simulated_log(network, directory, BUCKETS)


def _bytes(directory: Path, *patterns: str) -> int:
    return sum(p.stat().st_size for pattern in patterns for p in directory.glob(pattern))


def _say(name: str, value: float, unit: str) -> None:
    print(f"  {name:34} {value:14,.2f} {unit}", flush=True)


def _learned(directory: Path, params: Params) -> tuple[Measured, FeatureStore, Any, float]:
    measured, since = Measured(), time.process_time()
    with using(measured):
        log = Log.open(directory)
        store = fit_store(log, params)
        rows = training_rows(log, store, params)
    return measured, store, rows, time.process_time() - since


def _derive(store: FeatureStore) -> None:
    """Print the cost of the shared state of one step, which each worker derives once."""
    states = SharedHistory(store.fitted, store.shared)
    last = store.shared.n_steps
    states.as_of(last - STATES - 1)
    since = time.process_time()
    made = [states.as_of(step) for step in range(last - STATES, last)]
    seconds = (time.process_time() - since) / STATES
    n_cells = store.fitted.n_segments * store.fitted.n_posts
    size = sum(t.nbytes for t in vars(made[-1]).values() if isinstance(t, np.ndarray))
    _say("a state", seconds * 1e9 / n_cells, "ns a cell (segment, post)")
    _say("a state", size / n_cells, "bytes a cell")


def measure(directory: Path, users: int, params: Params) -> None:
    """Print the constants of one size."""
    log = _simulated(directory / "log", users)
    views, meta = log.meta.n_impressions, log.meta
    print(f"\n{users:,} users, {meta.n_posts:,} posts, {views:,} views, {meta.n_days} days")
    few = replace(params, features=replace(params.features, max_rows=FEW_ROWS))
    thin, _, thin_rows, _ = _learned(directory / "log", few)
    measured, store, rows, seconds = _learned(directory / "log", params)
    features = directory / "features"
    shutil.rmtree(features, ignore_errors=True)
    features.mkdir()
    store.save(features)
    calendar = Calendar.of(meta, params.features.warmup_days, params.validate.test_days)
    with using(measured):
        fold = calendar.folds(1)[0]
        run_fold(log, features, rows, fold, params)

    per_view = 1e9 / views
    _say("log on disk", _bytes(log.directory, "bucket-*") / views, "bytes a view")
    _say("history", _bytes(features, "history_*") / views, "bytes a view")
    _say("counts by post", _bytes(features, "by_post_*"), "bytes")
    cells = len(store.shared.by_post.key)
    full = store.shared.n_steps * store.fitted.n_segments * meta.n_posts
    _say("  of cells (segment, post, step)", 100 * cells / full, "% filled")
    _say("counts by profile code", _bytes(features, "by_column_*"), "bytes")
    per_user = _bytes(features, "catalogue_codes*", "catalogue_user*") / users
    _say("codes and ids", per_user, "bytes a user")
    _say("training row", (rows.matrix.nbytes + 13 * len(rows)) / len(rows), "bytes")
    _say("warm-up", measured.work("reading the warm-up") * per_view, "ns a view")
    _say("pass 1", measured.work("counting") * per_view, "ns a view")
    by_row = (measured.work("assembling") - thin.work("assembling")) / (len(rows) - len(thin_rows))
    bare = thin.work("assembling") - by_row * len(thin_rows)
    _say("pass 2, each view", bare * per_view, "ns a view")
    _say("pass 2, each row", by_row * 1e9, "ns a row")
    _derive(store)
    jobs = ("reading the warm-up", "counting", "assembling")
    _say("learned outside of passes", seconds - sum(sum(measured.seconds[j]) for j in jobs), "s")
    asked = measured.work("replaying requests") / n_asked(params.validate, store.fitted.n_posts)
    _say("replay, six methods", asked * 1e3, "ms a request")
    for job in (*jobs, "replaying requests"):
        _say(f"{job}: shipped to a worker", measured.jobs[job] / 1e6, "MB")
        _say(f"{job}: answers", measured.answers[job] / 1e6, "MB")
        _say(f"{job}: memory of a part", measured.memory[job] / 1e6, "MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _say("peak memory so far, simulation too", peak, "MB")
    print(f"  load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    """Measure each size in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--users", type=int, nargs="+", default=[5300, 21200])
    parser.add_argument("--requests", type=int, default=500)
    arguments = parser.parse_args()
    one_thread_of_algebra()
    params = load_params()
    params = replace(params, validate=replace(params.validate, requests=arguments.requests))
    for users in arguments.users:
        measure(arguments.directory, users, params)


if __name__ == "__main__":
    main()
