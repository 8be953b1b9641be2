"""Cost of short steps: of counting a log, of the store's files, and of the service's states.

    python -m benchmarks.service.steps data/log models/artifact --steps 1d 1h 10min

The artifact's log is counted again by each length of a step, with the parameters of its last refit.
With `--times 31` each step holds the counts of so many random ones, as in a network with so many
times the users and the same posts. Times are of the processor. A past moment is one whose state is
not kept, as after a start.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.service.service import memory
from feedrank.artifact.artifact import Artifact
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.io.malloc import return_freed_memory
from feedrank.learning.counting_pass import count_posts
from feedrank.learning.refits import _count_refits
from feedrank.log.files import Log
from feedrank.params import load_params
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Cells, sum_of_cells
from feedrank.state.feature_store import FeatureStore
from feedrank.state.profiles import Profiles
from feedrank.state.shared import SharedCounts

N_PAST, N_REQUESTS = 20, 200  # random moments and requests that are measured
T = TypeVar("T")


def timed(job: Callable[[], T]) -> tuple[T, float]:
    """What a job gives, and the seconds of this process's processor that it took."""
    began = time.process_time()
    return job(), time.process_time() - began


def counted(store: FeatureStore, log: Log, seconds: int) -> FeatureStore:
    """The store of a log counted by other steps; prints what that takes."""
    last = replace(store.fitted.refits[-1], first_step=0)
    half_life = store.fitted.half_life_steps * store.fitted.step_seconds / seconds
    steps = {"step_seconds": seconds, "half_life_steps": half_life, "segments_since": 0}
    fitted = replace(store.fitted, **steps, refits=(last,))
    profiles = Profiles(store.columns, np.asarray(store.catalogue.codes))
    ((by_post, *_), history), took = timed(lambda: count_posts(log, profiles, fitted))
    (counts,), more = timed(
        lambda: _count_refits(log, profiles, fitted, by_post, [0], [last.clusters])
    )
    print(f"{by_post.n_steps:,} steps: posts counted in {took:.1f} s, columns in {more:.1f} s a "
          f"refit", flush=True)  # fmt: skip
    shared = SharedCounts(by_post, (counts.by_column,))
    return replace(store, fitted=fitted, shared=shared, history=history)


def denser(counts: StepCounts, times: int, rng: np.random.Generator) -> StepCounts:
    """Counts of which each step holds those of `times` random steps."""

    def cells(_: int) -> Cells:
        steps = rng.integers(0, counts.n_steps, times).tolist()
        return sum_of_cells([counts.at(step) for step in steps], counts.n_keys)

    return StepCounts.of(map(cells, range(counts.n_steps)), counts.n_keys)


def serve(store: FeatureStore, artifact: Artifact, directory: Path) -> None:
    """Save a store, load it, and print its size and what states and lists take."""
    store.save(directory)
    size = sum(path.stat().st_size for path in directory.iterdir()) / 2**20
    del store
    rng, store = np.random.default_rng(1), FeatureStore.load(directory)
    return_freed_memory()
    end, states, before = store.shared.n_steps, store.states, memory(os.getpid())["Private_Dirty"]
    first, following = (timed(lambda: states.as_of(s))[1] for s in (end - 1, end))  # noqa: B023
    asked = rng.integers(0, end - 1, N_PAST).tolist()
    past = [timed(lambda: states.as_of(step))[1] for step in asked]  # noqa: B023
    return_freed_memory()
    held = memory(os.getpid())["Private_Dirty"] - before
    recommender, at = artifact.recommender.with_store(store), store.meta.last_at + 86_400
    users = rng.integers(0, store.meta.n_users, N_REQUESTS).tolist()
    lists = [timed(lambda: recommender.rank(user, at, 5))[1] for user in users]  # noqa: B023
    print(f"  {size:.0f} MB of files; a first state {1000 * first:,.0f} ms, the next one "
          f"{1000 * following:.0f} ms, a past one {1000 * np.median(past):,.0f} ms at the median "
          f"and {1000 * max(past):,.0f} ms at most; {held:.0f} MB held; a list "
          f"{1000 * np.median(lists):.1f} ms", flush=True)  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--steps", nargs="+", default=["1d", "1h", "10min"])
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    one_thread_of_algebra()
    log, artifact, params = Log.open(given.log), Artifact.load(given.artifact), load_params()
    for step in given.steps:
        seconds = replace(params.features, step=step).step_seconds
        store = counted(artifact.store, log, seconds)
        if given.times > 1:
            rng = np.random.default_rng(2)
            kinds = (store.shared.by_post, *store.shared.by_column)
            by_post, *by_column = (denser(counts, given.times, rng) for counts in kinds)
            store = replace(store, shared=SharedCounts(by_post, tuple(by_column)))
        with tempfile.TemporaryDirectory() as scratch:
            serve(store, artifact, Path(scratch))


if __name__ == "__main__":
    main()
