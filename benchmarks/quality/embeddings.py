"""Worth of embeddings in hits on the demo's pictures, whose words say nothing, with and without.

    python -m benchmarks.quality.embeddings --users 1500 --seeds 20 21

The same network is fitted, trained and replayed twice by the parameters of the pipeline, without
a database. Hits of the posts that were shown (replay), and true ones (known to a simulation), are
paired by request; 95 % intervals resample users.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality.ranking import of_kind
from feedrank.demo.simulation import Network
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.extraction.source_state import LEAST_BUCKETS
from feedrank.features.row_pass import training_rows
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.embeddings import EMBEDDING
from feedrank.oracle.true_hit_rates import true_hits
from feedrank.params import Params, load_params
from feedrank.stats.intervals import estimate, user_weights
from feedrank.validation.fold import joined, run_fold
from feedrank.validation.methods import OURS
from tests.support.network.log_files import write_simulated_log


def hits_of(network: Network, params: Params, scratch: Path) -> tuple[np.ndarray, np.ndarray]:
    """User of each request, and our hits: of what was shown, true, and of the informed limit."""
    log = write_simulated_log(network, scratch / "log", LEAST_BUCKETS)
    store = fit_store(log, params)
    rows = training_rows(log, store, params)
    (scratch / "features").mkdir()
    store.save(scratch / "features")
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    folds = calendar.folds(params.validate.folds)
    results = [run_fold(log, scratch / "features", rows, fold, params) for fold in folds]
    replayed, k = joined(results), params.validate.k[0]
    true = true_hits(network.truth, log, results, k)
    shown = replayed.hit_shown[results[0].names.index(OURS), :, k - 1]
    return replayed.user, np.stack([shown, true[OURS], true["informed"]])


def main() -> None:
    """Print a table, a line a network."""
    given = _arguments()
    one_thread_of_algebra()
    print("| network | shown: without, with, lift | true: without, with, lift | informed |")
    print("| --- | --- | --- | --- |")
    for seed in given.seeds:
        params = load_params()
        demo = replace(params.demo, users=given.users, posts=given.posts, days=given.days)
        params, effects = of_kind("pictures", replace(params, demo=replace(demo, seed=seed)))
        network = Network.simulate(params.demo, effects)
        blind = replace(network, posts=network.posts.drop(columns=EMBEDDING))
        found = []
        for one in (blind, network):
            with tempfile.TemporaryDirectory(prefix="feedrank-embeddings-") as scratch:
                user, hits = hits_of(one, params, Path(scratch))
                found.append(hits)
        weights = user_weights(user, params.validate.bootstrap, params.validate.seed)
        cells = [f"{given.users:,} users, seed {seed}"]
        for without, told in zip(found[0][:2], found[1][:2], strict=True):
            lift = estimate(told - without, weights)
            rates = f"{np.nanmean(without):.3f}, {np.nanmean(told):.3f}"
            cells.append(f"{rates}, {lift.value:+.3f} [{lift.low:+.3f}, {lift.high:+.3f}]")
        print(f"| {' | '.join([*cells, f'{found[1][2].mean():.3f}'])} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--posts", type=int, default=3000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    return parser.parse_args()


if __name__ == "__main__":
    main()
