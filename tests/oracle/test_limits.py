from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects
from feedrank.log.files import Log, write_bucket, write_meta
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.oracle.limits import PostQuality, informed_lists, oracle_lists
from feedrank.params import DemoParams
from tests.support.network.log_files import write_simulated_log

PARAMS = DemoParams(kind="course", seed=20, users=4_000, posts=3_000, days=90, effect_scale=1.0)
K = 5


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.simulate(PARAMS)


@pytest.fixture(scope="module")
def log(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Log:
    return write_simulated_log(network, tmp_path_factory.mktemp("log"), n_buckets=3)


@pytest.fixture(scope="module")
def requests() -> tuple[np.ndarray, np.ndarray]:
    """Random users and moments of the waking hours of the whole period."""
    rng = np.random.default_rng(1)
    day = rng.integers(0, PARAMS.days, 1_500)
    at = day * SECONDS_A_DAY + rng.integers(6 * 3600, 23 * 3600, len(day))
    return rng.integers(0, PARAMS.users, len(day)), at


def most_liked(log: Log) -> np.ndarray:
    shown, likes = np.zeros((2, log.meta.n_posts))
    for rows in log.buckets():
        shown += np.bincount(rows.post, minlength=log.meta.n_posts)
        likes += np.bincount(rows.post, rows.liked, log.meta.n_posts)
    rate = (likes + 100 * likes.sum() / shown.sum()) / (shown + 100)
    return np.argsort(-np.where(shown >= np.median(shown) / 2, rate, 0))[:K]


@pytest.fixture(scope="module")
def hits(network: Network, log: Log, requests: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Mean probability of a hit of each way to recommend."""
    truth, (users, at) = network.truth, requests
    candidates = np.flatnonzero(truth.was_shown)
    lists = {
        "random": np.random.default_rng(2).choice(candidates, (len(users), K)),
        "most liked": np.tile(most_liked(log), (len(users), 1)),
        "informed": informed_lists(truth, log, users, at, K),
        "oracle": oracle_lists(truth, users, at, K),
    }
    return {name: float(truth.hit_probability(users, at, x).mean()) for name, x in lists.items()}


def test_each_limit_beats_what_knows_less(hits: dict[str, float]) -> None:
    assert hits["random"] < hits["most liked"] < hits["informed"] < hits["oracle"]


def test_the_hit_rates_are_those_of_the_reference_network(hits: dict[str, float]) -> None:
    assert 0.45 < hits["random"] < 0.49
    assert 0.52 < hits["most liked"] < 0.57
    assert 0.60 < hits["informed"] < 0.64
    assert 0.63 < hits["oracle"] < 0.67


def test_the_oracle_names_the_likeliest_posts_best_first(network: Network) -> None:
    best = oracle_lists(network.truth, np.array([7]), np.array([4_000_000]), K)[0]
    p = network.truth.probabilities(7, 4_000_000)
    assert p[best].tolist() == sorted(p, reverse=True)[:K]


def test_the_informed_limit_does_not_feel_what_comes_after_a_request(
    network: Network, log: Log, tmp_path: Path
) -> None:
    users, at = np.array([5, 6, 3_000]), np.array([40, 50, 60]) * SECONDS_A_DAY + 40_000
    turned = tmp_path / "log"
    turned.mkdir()
    for number, rows in enumerate(log.buckets()):
        flipped = np.where(rows.at >= at.max(), 1 - rows.liked, rows.liked)
        write_bucket(turned, number, replace(rows, liked=flipped))
    write_meta(turned, log.meta)
    now = informed_lists(network.truth, log, users, at, K)
    assert np.array_equal(now, informed_lists(network.truth, Log.open(turned), users, at, K))


def test_buckets_do_not_change_the_informed_limit(
    network: Network, log: Log, tmp_path: Path
) -> None:
    users, at = np.arange(0, 4_000, 100), np.full(40, 70 * SECONDS_A_DAY)
    other = write_simulated_log(network, tmp_path, n_buckets=1)
    one, two = (informed_lists(network.truth, x, users, at, K) for x in (log, other))
    assert np.mean(one == two) > 0.99  # sums of floats in another order may turn a near tie


def test_the_informed_limit_knows_how_well_it_knows_the_quality_of_posts(tmp_path: Path) -> None:
    params = DemoParams(kind="course", seed=3, users=400, posts=200, days=30, effect_scale=1.0)
    network = Network.simulate(params, Effects(quality=0.15))
    log, truth = write_simulated_log(network, tmp_path, n_buckets=2), network.truth
    posterior = PostQuality.learn(truth, log, np.array([30 * SECONDS_A_DAY]), shift=0)
    mean, variance = posterior.as_of(30 * SECONDS_A_DAY)
    error = (mean - truth.quality)[truth.was_shown]
    assert np.corrcoef(mean, truth.quality)[0, 1] > 0.4
    assert np.mean(error**2 / variance[truth.was_shown]) == pytest.approx(1, abs=0.3)


def test_times_are_counted_from_the_origin_of_the_log(
    network: Network, log: Log, tmp_path: Path
) -> None:
    for number, rows in enumerate(log.buckets()):
        write_bucket(tmp_path, number, replace(rows, at=rows.at + SECONDS_A_DAY))
    write_meta(tmp_path, replace(log.meta, origin="2021-09-30T00:00:00"))
    steep = replace(network.truth, effects=replace(network.truth.effects, drift=40.0))
    users, at = np.arange(200), np.full(200, 50 * SECONDS_A_DAY)
    ours = informed_lists(steep, log, users, at, K)
    later = informed_lists(steep, Log.open(tmp_path), users, at + SECONDS_A_DAY, K)
    assert np.array_equal(ours, later)
