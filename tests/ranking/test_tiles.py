"""Tiles find the lists that a score of every post gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from feedrank.ranking import candidates as module
from feedrank.ranking import tiles
from feedrank.ranking.candidates import CandidateGenerator
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.recommender import Ranked, Recommender
from feedrank.ranking.top_k import Reach
from feedrank.state import shared
from tests.support.scratch import scratch
from tests.support.simulated_logs import (
    DAY,
    ORIGIN,
    USUAL,
    Learned,
    named,
    params,
    plugged,
    recommender_of,
    simulated,
    simulated_network,
    tasteful,
    write_log,
)

N_USERS, N_POSTS = 60, 250
USERS = np.random.default_rng(5).permutation(USUAL.users)[:N_USERS]
OF_DAY = np.random.default_rng(6).integers(0, DAY, N_USERS)
ANY: list[Callable[[np.ndarray], np.ndarray]] = [lambda post: post] * N_USERS  # is open
EVERYTHING = 10**9  # more candidates than any log has, so that every post is scored


@cache
def _of_kind(kind: str) -> Learned:
    network, rows = simulated_network(replace(USUAL, kind=kind))
    log = write_log(scratch() / kind, network.users, network.posts, rows, origin=ORIGIN)
    return Learned.of(log, params(features={"warmup_days": 7}))


LOGS = {
    "profiles": simulated,
    "factors": tasteful,
    "names": named,
    **{kind: partial(_of_kind, kind) for kind in ("interests", "films", "news", "video")},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of a few posts, all of which a small log may look into."""
    monkeypatch.setattr(module, "FEWEST_TILED", 1)
    monkeypatch.setattr(module, "FIRST_POSTS", 12)
    monkeypatch.setattr(module, "MOST_TILES", np.inf)
    monkeypatch.setattr(tiles, "TILE", 4)
    for of in (module, shared):
        monkeypatch.setattr(of, "FEWEST_SHOWN", 5)


def _without_tiles(monkeypatch: pytest.MonkeyPatch, recommender: Recommender) -> Recommender:
    monkeypatch.setattr(module, "FEWEST_TILED", EVERYTHING)
    return recommender.with_store(recommender.store)


def _lists(recommender: Recommender, day: int) -> list[Ranked]:
    return recommender.rank_many(USERS, day * DAY + OF_DAY, 5)


def _found(lists: list[Ranked]) -> list[tuple[list[int], bytes, int]]:
    return [(of.post.tolist(), of.probability.tobytes(), of.n_ranked) for of in lists]


@pytest.mark.parametrize("name", LOGS)
def test_lists_are_those_of_all_posts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: Learned = LOGS[name]()
    hidden_from = np.where(np.arange(N_POSTS) % 7 == 0, 20 * DAY, 90 * DAY)
    catalogue = replace(learned.store.catalogue, hidden_from=hidden_from)
    for exclude, candidates in (("nothing", 30), ("liked", 9), ("seen", 60)):
        store = replace(learned.store, catalogue=catalogue)
        recommender = recommender_of(learned, store, candidates=candidates, exclude=exclude)
        days = (-1, 1, 8, 19, 25, 90)
        found = [_found(_lists(recommender, day)) for day in days]
        with monkeypatch.context() as patch:
            every = _without_tiles(patch, recommender)
            assert found == [_found(_lists(every, day)) for day in days]


@pytest.mark.parametrize("spread", [0.0, 0.3, np.inf])
def test_bounds_hold_for_weights_of_either_sign(learned: Learned, spread: float) -> None:
    features = recommender_of(learned).features
    columns = tuple(i for i, feature in enumerate(features) if feature.weight is not None)
    grains = tuple(features[i].grain for i in columns)
    rng = np.random.default_rng(9)
    for day in (2, 9, 25):
        weights = rng.normal(0, 2, len(columns))
        first_stage = FirstStage(columns, tuple(weights.tolist()), -1.0, grains)
        generator = CandidateGenerator(features, first_stage, learned.store.fitted)
        recommender = recommender_of(learned)
        requests = recommender.requests(USERS, day * DAY + OF_DAY)
        posts = np.flatnonzero(requests.shared.n_shown)
        expected = generator.cut(requests, [posts] * N_USERS, 20, Reach(5, spread))
        found = generator.search(requests, ANY, 20, Reach(5, spread))
        assert found is not None
        for ours, theirs in zip(found, expected, strict=True):
            assert [a.tolist() for a in ours] == [a.tolist() for a in theirs]


def test_few_posts_are_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    posts = tiles.Tiles.posts

    def counted(self: tiles.Tiles, numbers: np.ndarray) -> np.ndarray:
        found = posts(self, numbers)
        looked.append(len(found))
        return found

    monkeypatch.setattr(tiles.Tiles, "posts", counted)
    recommender = simulated().recommender
    requests = recommender.requests(USERS, 25 * DAY + OF_DAY)
    recommender.first_stage.search(requests, ANY, 60, Reach(5, 0.0))
    assert 0 < sum(looked) < N_USERS * N_POSTS / 4


def test_a_log_whose_features_have_no_bounds_scores_every_post() -> None:
    learned = plugged()
    recommender = learned.recommender
    requests = recommender.requests(USERS, 25 * DAY + OF_DAY)
    assert recommender.first_stage.search(requests, ANY, 60, Reach(5, 0.0)) is None
