"""Constants of the ranker: the true hit rate with other values, on small simulated networks.

    python -m benchmarks.quality.constants                       # all constants, some ten minutes
    python -m benchmarks.quality.constants --only DISCOUNT GROWTH

One fit each, lists at the end of the log; other seeds of k-means come first, as the noise floor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features.row_pass import training_rows
from feedrank.features.spec import features_of
from feedrank.learning.fit import fit_store
from feedrank.log.files import Log
from feedrank.params import DemoParams, Params, load_params
from feedrank.ranking.recommender import Recommender
from feedrank.training.fit import fit_ranker
from tests.support.network.log_files import write_simulated_log

NETWORKS = {
    "usual": (KINDS["course"].effects, 800),
    "films": (KINDS["films"].effects, 800),
    "factors": (Effects(age_clusters=0.25, taste=0.5, factors=0.9, quality=0.2), 1500),
}
CLUSTERS, FACTORS = "feedrank.learning.posts.clusters", "feedrank.learning.posts.factors"
TRIED: tuple[tuple[str, str, tuple[float, float]], ...] = (
    ("feedrank.stats.shrinkage", "PRIOR_LOG_STRENGTH", (log(20), log(120))),
    ("feedrank.stats.shrinkage", "PRIOR_LOG_SPREAD", (log(3), log(10))),
    ("feedrank.stats.shrinkage", "STRONGEST", (1e4, 1e6)),
    ("feedrank.stats.shrinkage", "WEAKEST", (0.01, 0.5)),
    ("feedrank.stats.shrinkage", "HIGHEST_RATE", (0.9, 0.999)),
    ("feedrank.state.posts.clusters", "DISCOUNT", (1.2, 2.0)),
    ("feedrank.state.posts.clusters", "RATE_PRIOR", (10.0, 100.0)),
    (CLUSTERS, "EM_ITERATIONS", (10, 40)),
    (CLUSTERS, "TASTE_ITERATIONS", (8, 32)),
    (CLUSTERS, "GATE_RIDGE", (0.3, 3.0)),
    (CLUSTERS, "GATE_STEPS", (4, 16)),
    (CLUSTERS, "STRENGTH_EVERY", (3, 10)),
    (CLUSTERS, "TEXT_RIDGE", (3.0, 30.0)),
    (CLUSTERS, "FIRST_DOUBT", (0.03, 0.3)),
    (CLUSTERS, "STARTS", (2, 8)),
    ("feedrank.stats.correspondence", "LEAST_SHARE", (0.001, 0.1)),
    ("feedrank.stats.correspondence", "LEAST_SPREAD", (0.01, 0.2)),
    ("feedrank.stats.correspondence", "TRACY_WIDOM_99", (0.98, 3.0)),
    (FACTORS, "TEXT_COMPONENTS", (50, 200)),
    (FACTORS, "NULL_DRAWS", (2, 6)),
    (FACTORS, "ITERATIONS", (8, 30)),
    (FACTORS, "LEAST_SPREAD", (0.02, 0.1)),
    ("feedrank.learning.posts.tastes", "FIRST_STRENGTH", (2.0, 15.0)),
    ("feedrank.learning.posts.tastes", "LEAST_STRENGTH", (0.2, 1.0)),
    ("feedrank.state.posts.factors", "FARTHEST", (4.0, 16.0)),
    ("feedrank.state.posts.factors", "POST_UNIT", (2.0**-6, 2.0**-10)),
    ("feedrank.state.posts.factors", "RATE_UNIT", (2.0**-12, 2.0**-18)),
    ("feedrank.state.rates", "LEVEL_PRIOR", (10.0, 200.0)),
    ("feedrank.learning.target_encoding", "PRIOR_IMPRESSIONS", (5.0, 100.0)),
    ("feedrank.learning.segments.difference", "CERTAIN", (3.0, 5.0)),
    ("feedrank.learning.prior_strengths", "WHOLE_SHARE", (0.99, 0.9999)),
    ("feedrank.ranking.first_stage", "WEIGHT_SPREAD", (0.1, 1.0)),
    ("feedrank.learning.refits", "GROWTH", (1.3, 2.0)),
)


def small() -> Params:
    """Parameters for networks of seconds."""
    found = load_params()
    features = replace(found.features, clusters=6, segments=4, vocabulary=100, half_life_days=5.0,
                       warmup_days=7)  # fmt: skip
    train = replace(found.train, trees=40, min_split_gain=1.0, min_child_weight=5.0, threads=1)
    export = replace(found.export, candidates=60)
    return replace(found, features=features, train=train, export=export)


def lists_of(log: Log, params: Params) -> np.ndarray:
    """Lists of up to 400 users at the end of the log, shape (n, 5)."""
    store = fit_store(log, params)
    rows = training_rows(log, store, params)
    ranker = fit_ranker(rows, None, features_of(store.fitted), params.train, store)
    made = Recommender(store, ranker, params.export.candidates, params.export.exclude)
    users = range(0, log.meta.n_users, -(-log.meta.n_users // 400))
    return np.array([made.rank(user, log.meta.last_at, 5).post for user in users])


@contextmanager
def changed(module: str, name: str, value: float) -> Iterator[None]:
    """Another value of a constant, wherever it was imported to."""
    old = getattr(sys.modules[module], name)
    homes = [
        m for n, m in sys.modules.items()
        if n.startswith("feedrank.") and getattr(m, name, None) is old
    ]  # fmt: skip
    for home in homes:
        setattr(home, name, value)
    try:
        yield
    finally:
        for home in homes:
            setattr(home, name, old)


def main() -> None:
    """Print a row a constant: the change of the true hit rate on each network."""
    given, params = _arguments(), small()
    one_thread_of_algebra()
    with tempfile.TemporaryDirectory(prefix="feedrank-constants-") as scratch:
        measured = [_Measured(Path(scratch) / n, *NETWORKS[n], params) for n in NETWORKS]
        print(f"| constant | value | tried | {' | '.join(NETWORKS)} |\n" + "| --- " * 6 + "|")
        for seed in (21, 22, 23):
            features = replace(params.features, seed=seed)
            cells = [m.change(replace(params, features=features)) for m in measured]
            print(f"| seed | {params.features.seed} | {seed} | {' | '.join(cells)} |", flush=True)
        for module, name, values in TRIED:
            if given.only and name not in given.only:
                continue
            cells = []
            for value in values:
                with changed(module, name, value):
                    cells.append([m.change(params) for m in measured])
            pairs = (a if a == b else f"{a}, {b}" for a, b in zip(*cells, strict=True))
            tried = ", ".join(f"{v:.4g}" for v in values)
            now = getattr(sys.modules[module], name)
            print(f"| `{name}` | {now:.4g} | {tried} | {' | '.join(pairs)} |", flush=True)


class _Measured:
    """A network, its log, and the lists that today's constants make."""

    def __init__(self, directory: Path, effects: Effects, users: int, params: Params) -> None:
        demo = DemoParams(kind="course", seed=5, users=users, posts=250, days=30, effect_scale=1.0)
        self._truth = (network := Network.simulate(demo, effects)).truth
        self._log = write_simulated_log(network, directory, 2)
        self._lists = lists_of(self._log, params)

    def change(self, params: Params) -> str:
        """Change of the true hit rate by other parameters or constants."""
        lists = lists_of(self._log, params)
        if np.array_equal(lists, self._lists):
            return "same lists"
        return f"{self._hits(lists) - self._hits(self._lists):+.4f}"

    def _hits(self, lists: np.ndarray) -> float:
        users = np.arange(0, self._log.meta.n_users, -(-self._log.meta.n_users // 400))
        at = np.full(len(users), self._log.meta.last_at)
        return float(self._truth.hit_probability(users, at, lists).mean())


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", help="names of constants")
    return parser.parse_args()


if __name__ == "__main__":
    main()
