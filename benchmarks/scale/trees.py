"""Memory and time of training from rows in memory and from files: a table of docs/scale.md.

    python -m benchmarks.scale.trees tmp/trees --rows 500000 5000000 20000000

Rows of a small simulated network are repeated with noise, spread over the whole period and over
eight files. Each step runs in a fresh process; the peak is that of all its processes, with shared
pages counted once. Trees grow in full, without a least gain (`train.min_split_gain` 0).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.scale.full_size import Watch
from feedrank.demo.simulation import Network
from feedrank.engines.engine import map_parts
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features.row_files import load_rows, store_rows
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import url_of
from feedrank.learning.fit import fit_store
from feedrank.params import load_params
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from tests.support.network.log_files import write_simulated_log

# Of the base that rows are repeated from. Noise of any size makes rows differ, so that histograms
# and quantiles have work.
USERS, FILES, NOISE = 1000, 8, 0.05
HELD, STORED = "held", "files"
FEATURES, TRAIN = "features", "train"


@dataclass(frozen=True)
class Work:
    """One size, one way.

    Attributes:
        directory: of the learned small network, and of the rows made from it.
        rows: number of rows.
        way: `held` or `files`.
        trees: number of trees, at most.
    """

    directory: Path
    rows: int
    way: str
    trees: int

    @property
    def made(self) -> Path:
        """Directory of the rows."""
        return self.directory / f"{self.way}-{self.rows}"

    def features(self) -> None:
        """Make the rows, as pass 2 does, and leave them as the stage does."""
        shutil.rmtree(self.made, ignore_errors=True)
        self.made.mkdir()
        job = partial(repeated, self.directory / "base", self.rows // FILES)
        if self.way == HELD:
            parts = list(map_parts(partial(_whole, job), FILES, "assembling"))
            TrainingRows.joined(parts).sorted().save(self.made)
        else:
            names = [
                f.name for f in features_of(FeatureStore.load(self.directory / "store").fitted)
            ]
            held = load_params().engine.held_rows
            store_rows(job, FILES, names, url_of(self.made), held).save(self.made)

    def train(self) -> None:
        """Train as the stage does."""
        spec = features_of(FeatureStore.load(self.directory / "store").fitted)
        params = replace(load_params().train, trees=self.trees, min_split_gain=0.0)
        fit_ranker(load_rows(self.made), None, spec, params)

    def measured(self, step: str) -> tuple[float, float]:
        """Seconds and MB of a step in a fresh process."""
        since = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scale.trees", str(self.directory), "--rows",
             str(self.rows), "--way", self.way, "--step", step, "--trees", str(self.trees)],
        )  # fmt: skip
        watch = Watch(process.pid)
        if process.wait():
            raise SystemExit(f"{step} of {self.rows} rows failed")
        watch.join()
        return time.perf_counter() - since, watch.together / 1e6


def repeated(base: Path, n: int, part: int) -> Iterator[TrainingRows]:
    """Rows of a part in the order of time: those of a base over and over, with noise."""
    rows, rng = TrainingRows.load(base), np.random.default_rng(part)
    times = -(-n // len(rows))
    for i in range(times):
        some = rows[: min(len(rows), n - i * len(rows))]
        matrix = some.matrix * rng.normal(1, NOISE, some.matrix.shape).astype(np.float32)
        at = (some.at.astype(np.int64) + i * int(rows.at[-1])) // times
        user = some.user.astype(np.int64) * FILES * times + part * times + i
        yield TrainingRows(
            matrix, some.liked, at.astype(np.uint32), user.astype(np.uint32), some.post
        )


def _whole(job: partial[Iterator[TrainingRows]], part: int) -> TrainingRows:
    return TrainingRows.joined(list(job(part)))


def learn_base(directory: Path) -> None:
    """Learn the small network that rows are made from."""
    shutil.rmtree(directory, ignore_errors=True)
    for name in ("base", "store"):
        (directory / name).mkdir(parents=True)
    params = load_params()
    with tempfile.TemporaryDirectory() as folder:
        network = Network.simulate(replace(params.demo, users=USERS))
        log = write_simulated_log(network, Path(folder) / "log", FILES)
        store = fit_store(log, params)
        rows = training_rows(log, store, params)
        rows.save(directory / "base")
        store.save(directory / "store")


def main() -> None:
    """Print a table, a line a size and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000, 20_000_000])
    parser.add_argument("--trees", type=int, default=20)
    parser.add_argument("--way", choices=(HELD, STORED))
    parser.add_argument("--step", choices=(FEATURES, TRAIN), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        one_thread_of_algebra()
        work = Work(given.directory, given.rows[0], given.way, given.trees)
        (work.features if given.step == FEATURES else work.train)()
        return
    learn_base(given.directory)
    print("| rows | where | features: MB | train: MB | train: s | load |\n" + "| --- " * 6 + "|")
    for n in given.rows:
        for way in [given.way] if given.way else (HELD, STORED):
            work = Work(given.directory, n, way, given.trees)
            _, made = work.measured(FEATURES)
            seconds, trained = work.measured(TRAIN)
            load = os.getloadavg()[0]
            print(f"| {n:,} | {way} | {made:,.0f} | {trained:,.0f} | {seconds:,.0f} | {load:.0f} |",
                  flush=True)  # fmt: skip
            shutil.rmtree(work.made)


if __name__ == "__main__":
    main()
