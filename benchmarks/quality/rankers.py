"""Worth of each ranker in hits, on simulated networks: the same requests, paired with XGBoost's.

    python -m benchmarks.quality.rankers --kinds course interests films news --seeds 20
    python -m benchmarks.quality.rankers --rankers xgboost sequence ridge:Ridge

A network is simulated and learned once, then validated with each ranker by the parameters of the
pipeline, without a database. Hits of the posts that were shown (replay), and true ones (known to
a simulation), are paired by request; 95 % intervals resample users.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality.ranking import NAMES, learned, of_kind
from feedrank.demo.simulation import Network
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features.rows import TrainingRows
from feedrank.io.param_fields import RANKERS
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.oracle.true_hit_rates import true_hits
from feedrank.params import Params, load_params
from feedrank.stats.intervals import estimate, user_weights
from feedrank.validation.fold import joined, run_fold
from feedrank.validation.methods import OURS


def hits_of(
    network: Network, log: Log, rows: TrainingRows, features: Path, params: Params
) -> tuple[np.ndarray, np.ndarray]:
    """User of each request, and our hits: of what was shown, true, and of the informed limit."""
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    folds = calendar.folds(params.validate.folds)
    results = [run_fold(log, features, rows, fold, params) for fold in folds]
    replayed, k = joined(results), params.validate.k[0]
    true = true_hits(network.truth, log, results, k)
    shown = replayed.hit_shown[results[0].names.index(OURS), :, k - 1]
    return replayed.user, np.stack([shown, true[OURS], true["informed"]])


def lines(name: str, params: Params, effects: object, rankers: list[str]) -> None:
    """Print a line a ranker of one network."""
    usual = None
    with tempfile.TemporaryDirectory(prefix="feedrank-rankers-") as scratch:
        network, log, rows = learned(params, effects, Path(scratch))
        for ranker in rankers:
            since = time.process_time()
            own = replace(params, train=replace(params.train, ranker=ranker))
            user, hits = hits_of(network, log, rows, Path(scratch) / "features", own)
            usual = hits if usual is None else usual
            weights = user_weights(user, params.validate.bootstrap, params.validate.seed)
            lifts = (
                estimate(ours - theirs, weights) for ours, theirs in zip(hits, usual, strict=True)
            )
            cells = [
                f"{np.nanmean(of):.3f}, {lift.value:+.3f} [{lift.low:+.3f}, {lift.high:+.3f}]"
                for of, lift in zip(hits[:2], lifts, strict=False)
            ]
            seconds = f"{time.process_time() - since:.0f} s"
            row = (name, f"`{ranker}`", *cells, f"{hits[2].mean():.3f}", seconds)
            print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print a table."""
    given = _arguments()
    one_thread_of_algebra()
    print(f"| network | ranker | shown@5, lift on {given.rankers[0]} | true, lift | informed | |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in given.kinds:
        for seed in given.seeds:
            params = load_params()
            demo = replace(params.demo, users=given.users, days=given.days, seed=seed)
            if given.posts:
                demo = replace(demo, posts=given.posts)
            named = of_kind(kind, replace(params, demo=demo))
            lines(f"{kind}, {given.users:,} users, seed {seed}", *named, given.rankers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rankers", nargs="+", default=[*RANKERS])
    parser.add_argument("--kinds", nargs="+", default=["course", "interests"], choices=NAMES)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[20])
    return parser.parse_args()


if __name__ == "__main__":
    main()
