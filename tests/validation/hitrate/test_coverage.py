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


SEEDS = range(404, 409)  # one network each; no constant was chosen on them


@dataclass(frozen=True)
class Kind:
    """Networks, and the limits of the ranker on them.

    Attributes:
        name: of the demo's kind.
        effects: of the likes; None: the kind's.
        features: parameters that differ.
        has_profile: whether users have any column.
        posts: of the catalogue.
        days: of the log.
        least: share of intervals that must cover the truth.
    """

    name: str = "course"
    effects: Effects | None = None
    features: dict[str, Any] = field(default_factory=dict)
    has_profile: bool = True
    posts: int = 600
    days: int = 30
    least: float = 0.85


SHORT = {"posts": 1500, "days": 10, "least": 0.6}
KINDS = {
    "course": Kind(),
    "one segment of users": Kind(features={"segments": 1}),
    "no profile": Kind(has_profile=False),
    "strong tastes": Kind(effects=Effects(taste=0.5, factors=0.3, like_rate=0.4)),
    "good and bad posts": Kind(effects=Effects(quality=0.4)),
    "rare likes": Kind(effects=Effects(base_rate=0.01)),
    "interests": Kind("interests"),
    "films": Kind("films"),
    "news": Kind("news", features={"step": "1h", "warmup_days": 2}, **SHORT),
    "video": Kind("video", features={"step": "6h", "warmup_days": 2}, **SHORT),
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
        features={"warmup_days": 7, **kind.features}, validate={"requests": 2000, "bootstrap": 300}
    )
    demo = DemoParams(
        kind=kind.name, seed=seed, users=1_200, posts=kind.posts, days=kind.days, effect_scale=1.0
    )
    network = Network.simulate(demo, kind.effects)
    rows = Impressions.joined(network.impressions())
    users = network.users if kind.has_profile else network.users[["user_id"]]
    log = write_log(folder / "log", users, network.posts, rows, origin=network.truth.origin)
    store, training = learned(log, chosen)
    (folder / "features").mkdir()
    store.save(folder / "features")
    fold = Calendar.of(log.meta, chosen.features.warmup_days, None).folds(1)[0]
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
def test_the_interval_of_expected_covers_the_truth(name: str, tmp_path: Path) -> None:
    kind, found = KINDS[name], defaultdict(list)
    for seed in SEEDS:
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
    covers = [j.covers for outcomes in found.values() for j in outcomes]
    assert np.mean(covers) >= kind.least
