"""The whole estimate on simulated networks: how often its interval holds the truth. Minutes.

python -m pytest -m slow tests/test_coverage.py -s   prints the table of docs/validation.md
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from feedrank.demo.simulation import Network
from feedrank.folds import Calendar
from feedrank.params import DemoParams
from feedrank.validation.folding import joined, run_fold
from feedrank.validation.methods import OURS
from feedrank.validation.summary import Summary
from tests.logs import learned, params, simulated_network, workers, write_log

FIRST_SEED, N_NETWORKS, K = 200, 50, 5
PARAMS = params(features={"warmup_days": 7}, validate={"requests": 800, "bootstrap": 400})


@dataclass(frozen=True)
class Judgement:
    """One estimate beside the truth."""

    error: float
    width: float
    is_held: bool


def judged_network(seed: int, folder: Path) -> dict[str, Judgement]:
    """Every method's hit rate, and our lead over each, on one network of 1,200 users."""
    demo = DemoParams(seed=seed, users=1_200, posts=600, days=30, effect_scale=1.0)
    network, rows = simulated_network(demo)
    log = write_log(folder / "log", network.users, network.posts, rows, origin=network.truth.origin)
    knowledge, training = learned(log, PARAMS)
    (folder / "features").mkdir()
    knowledge.save(folder / "features")
    fold = Calendar.of(log.meta, None, None).folds(1)[0]
    with workers(1), threadpool_limits(1):
        result = run_fold(
            log, folder / "features", training, fold, PARAMS.validate, PARAMS.train, PARAMS.export
        )
    scores = Summary.of([result], PARAMS.validate).scores[0]
    judged = joined([result])
    true = {
        name: _true(network, judged.user, judged.at, top[:, :K])
        for name, top in zip(result.names, judged.top, strict=True)
    }
    found = {name: (scores.methods[name].expected, true[name]) for name in result.names}
    found |= {
        f"lead over {name}": (scores.lead(OURS, name), true[OURS] - true[name])
        for name in result.names[2:]
    }
    return {
        name: Judgement(e.value - t, e.high - e.low, e.low <= t <= e.high)
        for name, (e, t) in found.items()
    }


def _true(network: Network, user: np.ndarray, at: np.ndarray, lists: np.ndarray) -> float:
    return float(network.truth.hit_probability(user, at, lists).mean())


@pytest.mark.slow
def test_the_interval_of_expected_holds_the_truth_in_nine_of_ten_networks(tmp_path: Path) -> None:
    found = defaultdict(list)
    for seed in range(FIRST_SEED, FIRST_SEED + N_NETWORKS):
        for name, judgement in judged_network(seed, tmp_path / str(seed)).items():
            found[name].append(judgement)
    print("\n| | held | mean error | root mean square | width |\n| --- | --- | --- | --- | --- |")
    for name, all_of_it in found.items():
        error = np.array([j.error for j in all_of_it])
        print(
            f"| {name} | {np.mean([j.is_held for j in all_of_it]):.0%} | {error.mean():+.4f} "
            f"| {np.sqrt(np.mean(error**2)):.4f} | {np.mean([j.width for j in all_of_it]):.3f} |"
        )
    assert np.mean([j.is_held for j in found[OURS]]) >= 0.9
    for all_of_it in found.values():
        assert np.mean([j.is_held for j in all_of_it]) >= 0.85
