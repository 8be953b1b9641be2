"""Coverage: how often the interval of the whole estimate covers the truth, on simulated networks.

python -m pytest -m slow tests/validation/hitrate/test_coverage.py -s   prints the tables of
docs/validation.md
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects
from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.params import DemoParams
from feedrank.validation.fold import joined, run_fold
from feedrank.validation.methods import OURS
from feedrank.validation.results.summary import Summary
from tests.support.simulated_logs import learned, params, workers, write_log

K = 5


@dataclass(frozen=True)
class Kind:
    """Networks, and the limits of the ranker on them.

    Attributes:
        seeds: one network each; no constant was chosen on them.
        effects: of the likes.
        features: parameters that differ.
        has_profile: whether users have any column.
    """

    seeds: range
    effects: Effects | None = None
    features: dict[str, Any] = field(default_factory=dict)
    has_profile: bool = True


KINDS = {
    "usual": Kind(range(200, 250)),
    "one cluster of posts": Kind(
        range(250, 265), features={"clusters": 1, "refits": 1, "factors": 0}
    ),
    "one segment of users": Kind(range(250, 265), features={"segments": 1}),
    "no profile": Kind(range(250, 265), has_profile=False),
    "strong tastes": Kind(range(250, 265), Effects(taste=0.5, factors=0.3, like_rate=0.4)),
    "good and bad posts": Kind(range(250, 265), Effects(quality=0.4)),
    "rare likes": Kind(range(250, 265), Effects(base_rate=0.01)),
}


@dataclass(frozen=True)
class Outcome:
    """One estimate against the truth."""

    error: float
    width: float
    covers: bool


def outcomes_of(kind: Kind, seed: int, folder: Path) -> dict[str, Outcome]:
    """Every method's hit rate, and our lead over each, on one network of 1,200 users."""
    chosen = params(
        features={"warmup_days": 7, **kind.features}, validate={"requests": 800, "bootstrap": 400}
    )
    demo = DemoParams(kind="course", seed=seed, users=1_200, posts=600, days=30, effect_scale=1.0)
    network = Network.simulate(demo, kind.effects)
    rows = Impressions.joined(network.impressions())
    users = network.users if kind.has_profile else network.users[["user_id"]]
    log = write_log(folder / "log", users, network.posts, rows, origin=network.truth.origin)
    store, training = learned(log, chosen)
    (folder / "features").mkdir()
    store.save(folder / "features")
    fold = Calendar.of(log.meta, None, None).folds(1)[0]
    with workers(1), threadpool_limits(1):
        result = run_fold(log, folder / "features", training, fold, chosen)
    scores = Summary.of([result], chosen.validate).scores[0]
    replayed = joined([result])
    true = {
        name: _true(network, replayed.user, replayed.at, top[:, :K])
        for name, top in zip(result.names, replayed.top, strict=True)
    }
    found = {name: (scores.methods[name].expected, true[name]) for name in result.names}
    found |= {
        f"lead over {name}": (scores.lead(OURS, name), true[OURS] - true[name])
        for name in result.names[2:]
    }
    return {
        name: Outcome(e.value - t, e.high - e.low, e.low <= t <= e.high)
        for name, (e, t) in found.items()
    }


def _true(network: Network, user: np.ndarray, at: np.ndarray, lists: np.ndarray) -> float:
    return float(network.truth.hit_probability(user, at, lists).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_interval_of_expected_covers_the_truth_in_nine_of_ten_networks(
    name: str, tmp_path: Path
) -> None:
    kind, found = KINDS[name], defaultdict(list)
    for seed in kind.seeds:
        for method, outcome in outcomes_of(kind, seed, tmp_path / str(seed)).items():
            found[method].append(outcome)
    print(f"\n| {name} | covered | mean error | root mean square | width |")
    print("| --- | --- | --- | --- | --- |")
    for method, outcomes in found.items():
        error = np.array([j.error for j in outcomes])
        print(
            f"| {method} | {sum(j.covers for j in outcomes)} of {len(error)} "
            f"| {error.mean():+.3f} | {np.sqrt(np.mean(error**2)):.3f} "
            f"| {np.mean([j.width for j in outcomes]):.3f} |"
        )
    # Of 15 networks 13 are nine of ten; a row of twenty may miss one more by chance.
    n_missed = {m: sum(not j.covers for j in outcomes) for m, outcomes in found.items()}
    assert n_missed[OURS] <= max(2, 0.1 * len(kind.seeds))
    assert max(n_missed.values()) <= max(3, 0.15 * len(kind.seeds))
