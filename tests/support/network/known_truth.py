"""Replayed networks of ten kinds whose true hit rates are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects
from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.params import DemoParams, ValidateParams
from feedrank.validation.fold import run_fold
from feedrank.validation.hitrate.scores import Scores
from feedrank.validation.methods import OURS
from feedrank.validation.replay.matches import Matches
from feedrank.validation.replay.replay import ReplayResult
from tests.support.simulated_logs import learned, params, workers, write_log

K = 5


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


SHORT = {"posts": 1500, "days": 10}
KINDS = {
    "course": Kind(),
    "one segment of users": Kind(features={"segments": 1}),
    "no profile": Kind(has_profile=False),
    "strong tastes": Kind(effects=Effects(taste=0.5, factors=0.3, like_rate=0.4)),
    "good and bad posts": Kind(effects=Effects(quality=0.4)),
    "rare likes": Kind(effects=Effects(base_rate=0.01), least=0.8),
    "interests": Kind("interests"),
    "films": Kind("films"),
    "news": Kind("news", features={"step": "1h", "warmup_days": 2}, **SHORT),
    "video": Kind("video", features={"step": "6h", "warmup_days": 2}, **SHORT),
}


@dataclass(frozen=True)
class KnownTruth:
    """A replay, and what is true of it.

    Attributes:
        replayed: requests of one fold.
        others: matches of requests that were not replayed.
        names: of the methods.
        true: hit rate of each method's lists.
        cluster: of each post, by the last refit, shape (n_posts,).
        validate: parameters of the bootstrap.
    """

    replayed: ReplayResult
    others: Matches
    names: tuple[str, ...]
    true: dict[str, float]
    cluster: np.ndarray
    validate: ValidateParams


def known_truth(kind: Kind, seed: int, folder: Path, requests: int = 2_000) -> KnownTruth:
    """One network of 1,200 users, some of whose requests are replayed by every method."""
    validate = {"requests": requests, "bootstrap": 300}
    chosen = params(features={"warmup_days": 7, **kind.features}, validate=validate)
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
    replayed, truth = result.replayed, network.truth
    true = {
        name: float(truth.hit_probability(replayed.user, replayed.at, top[:, :K]).mean())
        for name, top in zip(result.names, replayed.top, strict=True)
    }
    cluster = store.fitted.refits[-1].clusters.cluster
    return KnownTruth(replayed, result.others, result.names, true, cluster, chosen.validate)


@dataclass(frozen=True)
class Outcome:
    """One estimate against the truth."""

    error: float
    width: float
    covers: bool


def outcomes(known: KnownTruth, scores: Scores) -> dict[str, Outcome]:
    """Every method's hit rate, and our lead over each baseline, against the truth."""
    true = known.true
    found = {name: (scores.methods[name].expected, true[name]) for name in known.names}
    found |= {
        f"lead over {name}": (scores.lead(OURS, name), true[OURS] - true[name])
        for name in known.names[2:]
    }
    return {
        name: Outcome(e.value - t, e.high - e.low, e.low <= t <= e.high)
        for name, (e, t) in found.items()
    }
