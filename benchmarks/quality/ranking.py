"""True hit rates on simulated networks: other seeds, sizes and effects, nothing tuned in between.

    python -m benchmarks.quality.ranking                        # three seeds of the default size
    python -m benchmarks.quality.ranking --users 16320 --seeds 20
    python -m benchmarks.quality.ranking --kinds interests      # another kind of network
    python -m benchmarks.quality.ranking --kinds news video --users 2000 --days 15 --peers

Every network is fitted, trained and replayed by the code and the parameters of the pipeline,
without a database. The share is that of the way from random to the informed limit, with a 95 %
interval over users.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.extraction.source_state import LEAST_BUCKETS
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.oracle.true_hit_rates import share_of_way, true_hits
from feedrank.params import Params, load_params
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.intervals import user_weights
from feedrank.validation.fold import barred_posts, joined, run_fold
from feedrank.validation.methods import OURS
from tests.support.network.log_files import write_simulated_log

# Gender and country in place of age, posts of unequal quality.
OTHER_COLUMNS = Effects(
    age_clusters=0.2, gender_clusters=0.5, country_clusters=0.3, quality=0.15, like_rate=0.4
)
NAMES = (*KINDS, "other columns")
PEERS = ("decayed_likes", "logistic", "ease", "lightgbm_binary", "lightgbm_rank")


def of_kind(name: str, params: Params) -> tuple[Params, Effects]:
    """Parameters and effects of a network by one of `NAMES`, with the step that suits it."""
    if name not in KINDS:
        return params, OTHER_COLUMNS
    demo = replace(params.demo, kind=name)
    features = replace(params.features, step=KINDS[name].step)
    return replace(params, demo=demo, features=features), KINDS[name].effects


def learned(params: Params, effects: Effects, scratch: Path) -> tuple[Network, Log, TrainingRows]:
    """A network, its log and training rows; its store lies in `features` of an empty folder."""
    network = Network.simulate(params.demo, effects)
    log = write_simulated_log(network, scratch / "log", LEAST_BUCKETS)
    store = fit_store(log, params)
    rows = training_rows(log, store, params)
    (scratch / "features").mkdir()
    store.save(scratch / "features")
    assert isinstance(rows, TrainingRows)  # no other place was named
    return network, log, rows


def hits_of(params: Params, effects: Effects, scratch: Path) -> tuple[np.ndarray, dict]:
    """Users of the requests, and each method's and limit's true hit rates of them."""
    network, log, rows = learned(params, effects, scratch)
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    results = [
        run_fold(log, scratch / "features", rows, fold, params)
        for fold in calendar.folds(params.validate.folds)
    ]
    store = FeatureStore.load(scratch / "features")
    barred = barred_posts(results, store, params.validate.state, params.export.exclude)
    k = params.validate.k[0]
    return joined(results).user, true_hits(network.truth, log, results, k, barred)


def methods_of(params: Params) -> tuple[str, ...]:
    """Methods and limits of the table, in order."""
    peers = PEERS if "all" in params.validate.baselines else ()
    return ("random", "most_liked", "most_liked_by_segment", "classic", *peers, OURS, "informed",
            "oracle")  # fmt: skip


def head(params: Params) -> str:
    """The table's first two rows."""
    names = ("network", *methods_of(params), "share of the way")
    return f"| {' | '.join(n.replace('_', ' ') for n in names)} |\n" + "| --- " * len(names) + "|"


def line(name: str, user: np.ndarray, hits: dict[str, np.ndarray], params: Params) -> str:
    """One row of the table."""
    weights = user_weights(user, params.validate.bootstrap, params.validate.seed)
    of = {m: weights.means(v) for m, v in hits.items()}
    shares = [
        share_of_way({m: float(v[i]) for m, v in of.items()}) for i in range(len(weights.of_user))
    ]
    mean = {m: float(v.mean()) for m, v in hits.items()}
    low, high = np.quantile(shares, [0.025, 0.975])
    rates = " | ".join(f"{mean[m]:.4f}" if m in mean else "" for m in methods_of(params))
    return f"| {name} | {rates} | {share_of_way(mean):.1%} [{low:.1%}, {high:.1%}] |"


def main() -> None:
    """Print a table, a line a network."""
    given = _arguments()
    params = load_params()
    baselines = "all" if given.peers else params.validate.baselines
    params = replace(params, validate=replace(params.validate, baselines=baselines))
    one_thread_of_algebra()
    print(head(params), flush=True)
    for kind in given.kinds:
        for users in given.users:
            for seed in given.seeds:
                demo = replace(params.demo, users=users, days=given.days, seed=seed)
                with tempfile.TemporaryDirectory(prefix="feedrank-ranking-") as scratch:
                    found = hits_of(*of_kind(kind, replace(params, demo=demo)), Path(scratch))
                print(line(f"{kind}, {users:,} users, seed {seed}", *found, params), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, nargs="+", default=[5300])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--peers", action="store_true", help="also the costly baselines")
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    parser.add_argument("--kinds", nargs="+", default=["course"], choices=NAMES)
    return parser.parse_args()


if __name__ == "__main__":
    main()
