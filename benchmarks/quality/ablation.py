"""Ablation: the worth of each part of the ranker in true hits, on simulated networks.

    python -m benchmarks.quality.ablation              # three seeds of the default size
    python -m benchmarks.quality.ablation --seeds 41 --kinds films news --users 800 --days 45

Every ablation is fitted, trained and replayed by the code and the parameters of the pipeline; the
changes are of the same requests, with 95 % intervals over users.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality.ranking import NAMES, learned, of_kind
from feedrank.demo.truth import Effects
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.experiments.ablation import FULL, ablations, results_without
from feedrank.oracle.true_hit_rates import hits_of_lists
from feedrank.params import Params, load_params
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.intervals import UserWeights, user_weights
from feedrank.validation.fold import joined
from feedrank.validation.methods import OURS

Found = dict[str, tuple[float, float, float]]


def changes(params: Params, effects: Effects, scratch: Path) -> Found:
    """By ablation, how its true hit rate differs from the full one's, with an interval."""
    network, log, rows = learned(params, effects, scratch)
    (scratch / "rows").mkdir()
    rows.save(scratch / "rows")
    fitted = FeatureStore.load(scratch / "features").fitted
    of_segments = (
        f"{fitted.column_names[fitted.segment_column]} x post" if fitted.n_segments > 1 else ""
    )
    hits = {}
    for ablation in ablations(fitted):
        results = results_without(ablation, log, params, scratch)
        replayed = joined(results)
        ours = replayed.top[results[0].names.index(OURS), :, : params.validate.k[0]]
        name = "segment x post" if ablation.name == of_segments else ablation.name
        hits[name] = hits_of_lists(network.truth, log, replayed, ours)
    weights = user_weights(replayed.user, params.validate.bootstrap, params.validate.seed)
    found = {FULL: _interval(hits[FULL], weights)}
    return found | {n: _interval(h - hits[FULL], weights) for n, h in hits.items() if n != FULL}


def _interval(values: np.ndarray, weights: UserWeights) -> tuple[float, float, float]:
    low, high = np.quantile(weights.means(values), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def table(found: dict[str, Found]) -> str:
    """Markdown: a row an ablation, a column a network."""
    names = list(found)
    lines = ["| without | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for ablation in dict.fromkeys(part for of_network in found.values() for part in of_network):
        sign = "" if ablation == FULL else "+"
        cells = (
            "{:{s}.4f} [{:{s}.4f}, {:{s}.4f}]".format(*found[name][ablation], s=sign)
            if ablation in found[name]  # not where no column splits the users
            else ""
            for name in names
        )
        lines.append(f"| {ablation} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print a table."""
    given, params = _arguments(), load_params()
    one_thread_of_algebra()
    found = {}
    for kind in given.kinds:
        for seed in given.seeds:
            demo = replace(params.demo, users=given.users, days=given.days, seed=seed)
            with tempfile.TemporaryDirectory(prefix="feedrank-ablation-") as scratch:
                of = changes(*of_kind(kind, replace(params, demo=demo)), Path(scratch))
            found[f"{kind}, {seed}"] = of
            print(f"{kind}, {seed}: {of}", flush=True)
    print(table(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=5300)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    parser.add_argument("--kinds", nargs="+", default=["course"], choices=NAMES)
    return parser.parse_args()


if __name__ == "__main__":
    main()
