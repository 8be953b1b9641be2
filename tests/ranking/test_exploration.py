"""Places that explore: exact propensities, an equal list for an equal request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from feedrank.ranking import recommender as module
from feedrank.ranking.exploration import (
    Explorer,
    chances_to_be_better,
    explored,
    inclusion,
    systematic,
    unknown_spread,
)
from feedrank.ranking.recommender import Ranked
from feedrank.state.catalogue import NOBODY
from tests.support.simulated_logs import DAY, Learned, recommender_of, simulated

K, END = 5, 25 * DAY
USERS = np.array([3, 8, 100, NOBODY])
WEIGHTS = st.lists(st.floats(0.001, 10), min_size=1, max_size=30).map(np.array)


@given(weight=WEIGHTS, n=st.integers(1, 8))
def test_as_many_are_drawn_as_are_asked_for(weight: np.ndarray, n: int) -> None:
    chance = inclusion(weight, n)
    assert chance.sum() == pytest.approx(min(n, len(weight)))
    assert (chance > 0).all()
    assert (chance <= 1).all()
    for draw in (0.0, 0.3, 1 - 2.0**-53):
        drawn = systematic(chance, draw)
        assert len(np.unique(drawn)) == len(drawn) == min(n, len(weight))


@given(weight=WEIGHTS, n=st.integers(1, 8))
def test_chances_are_in_proportion_to_weights_below_the_cap(weight: np.ndarray, n: int) -> None:
    chance = inclusion(weight, n)
    free = chance < 1
    if free.any():
        share = chance[free] / weight[free]
        assert share == pytest.approx(share[0])
        assert (weight[~free] * share[0] >= 1 - 1e-9).all()


@given(weight=WEIGHTS, n=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_each_is_drawn_with_its_chance(weight: np.ndarray, n: int) -> None:
    chance, n_draws = inclusion(weight, n), 1_000
    draws = (np.arange(n_draws) + 0.5) / n_draws  # all of [0, 1), so that no luck is in it
    drawn = np.concatenate([systematic(chance, draw) for draw in draws])
    frequency = np.bincount(drawn, minlength=len(weight)) / n_draws
    # A unit's part of [0, n) holds as many of the evenly spread points as its length, but for one.
    assert np.abs(frequency - chance).max() <= 1 / n_draws + 1e-9


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("n_posts", [5, 6, 40])
def test_a_propensity_is_the_share_of_lists_that_hold_the_post(share: float, n_posts: int) -> None:
    rng = np.random.default_rng(3)
    posts = np.sort(rng.choice(1_000, n_posts, replace=False))
    weight, best, n_lists = rng.random(n_posts), rng.permutation(posts)[:K], 20_000
    held, told = np.zeros(1_000), np.full(1_000, np.nan)
    for draws in rng.random((n_lists, 2)).tolist():
        kept, drawn, propensity = explored(best, posts, weight, share, tuple(draws))
        listed = np.concatenate([kept, drawn])
        assert len(np.unique(listed)) == K
        held[listed] += 1
        is_new = np.isnan(told[listed])
        assert np.array_equal(told[listed][~is_new], propensity[~is_new])
        told[listed] = propensity
    assert held[posts].sum() == K * n_lists
    assert np.nansum(told) == pytest.approx(K)
    assert (held[told == 1] == n_lists).all()
    free = posts[told[posts] < 1]
    if len(free):
        # Places that explore in one list are not independent, but for the share of .05: at most
        # one does. Systematic samples vary less than the test assumes.
        assert chisquare(held[free], told[free] * n_lists).pvalue > 1e-4
        assert np.abs(held[free] / n_lists - told[free]).max() < 4 * np.sqrt(0.25 / n_lists)


def _same(one: Ranked, other: Ranked) -> bool:
    return all(
        np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def test_without_a_share_the_lists_are_those_of_the_recommender(learned: Learned) -> None:
    recommender = recommender_of(learned, candidates=30)
    plain = recommender.rank_many(USERS, np.full(len(USERS), END), K)
    found = Explorer(recommender, 0.0, "v").rank_many(USERS, END, K)
    for one, other in zip(found, plain, strict=True):
        assert _same(one, other)
        assert other.propensity.tolist() == [1.0] * K
        assert other.n_explored == 0


def test_an_equal_request_gets_an_equal_list_alone_or_among_many(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender = recommender_of(learned, candidates=30)
    many = Explorer(recommender, 0.3, "v").rank_many(USERS, END, K)
    monkeypatch.setattr(module, "BLOCK_PAIRS", 1)
    alone = [Explorer(recommender, 0.3, "v").rank_many(USERS[i : i + 1], END, K) for i in range(4)]
    assert all(_same(one, other) for one, (other,) in zip(many, alone, strict=True))
    others = [
        Explorer(recommender, 0.3, "w").rank_many(USERS, END, K),
        Explorer(recommender, 0.3, "v").rank_many(USERS, END + 1, K),
    ]
    for other in others:
        assert not all(_same(one, its) for one, its in zip(many, other, strict=True))


def test_the_best_posts_keep_their_places_and_drawn_ones_follow(learned: Learned) -> None:
    recommender = recommender_of(learned, candidates=30)
    (best,) = recommender.rank_many(USERS[:1], np.array([END]), K)
    n_explored = []
    for version in range(100):
        (found,) = Explorer(recommender, 0.25, str(version)).rank_many(USERS[:1], END, K)
        n = found.n_explored
        assert found.post[: K - n].tolist() == best.post[: K - n].tolist()
        assert found.probability[: K - n].tobytes() == best.probability[: K - n].tobytes()
        drawn = recommender.score(3, END, found.post[K - n :])
        assert found.probability[K - n :].tobytes() == drawn.tobytes()
        assert (np.diff(found.probability[K - n :]) <= 0).all()
        assert len(np.unique(found.post)) == K
        assert found.propensity[: K - n].min(initial=1) >= found.propensity[K - n :].max(initial=0)
        assert (found.propensity[:3] == 1).all()
        n_explored.append(n)
    assert set(n_explored) == {1, 2}  # 5 places of which a quarter explores: 1.25 on average
    assert binomtest(n_explored.count(2), 100, 0.25).pvalue > 1e-3


def test_lists_of_many_requests_hold_posts_as_often_as_they_say() -> None:
    learned = simulated()
    explorer = Explorer(recommender_of(learned, candidates=30), 0.5, "v")
    n_posts, n_lists = len(learned.log.posts), 1_000
    held, told = np.zeros(n_posts), np.full(n_posts, np.nan)
    for second in range(n_lists):  # of one step: the same state, another draw
        (ranked,) = explorer.rank_many(USERS[:1], END + second, K)
        held[ranked.post] += 1
        told[ranked.post] = ranked.propensity
    told[np.isnan(told)] = (K - np.nansum(told)) / np.isnan(told).sum()
    # Posts that are rarely drawn are counted together, so that five or more are expected of each.
    is_often = told * n_lists >= 5
    rest = [[counts[~is_often].sum()] for counts in (held, told * n_lists)]
    found, expected = (
        np.append(counts[is_often & (told < 1)], together)
        for counts, together in zip((held, told * n_lists), rest, strict=True)
    )
    assert chisquare(found, expected * found.sum() / expected.sum()).pvalue > 1e-4


@pytest.mark.parametrize("exclude", ["nothing", "liked", "seen"])
def test_no_hidden_barred_or_left_out_post_is_drawn(learned: Learned, exclude: str) -> None:
    catalogue = learned.store.catalogue
    hidden_from = np.full(len(catalogue.post_ids), 2 * END)
    hidden_from[::3] = END
    store = replace(learned.store, catalogue=replace(catalogue, hidden_from=hidden_from))
    recommender = recommender_of(learned, store=store, candidates=30, exclude=exclude)
    barred = store.history.barred(3, recommender.step(END), END, exclude)
    among = np.setdiff1d(catalogue.open_posts(END), np.arange(50))
    among = among[among % 3 > 0]
    drawn = set()
    for version in range(100):
        (found,) = Explorer(recommender, 0.5, str(version)).rank_many(USERS[:1], END, K)
        assert (found.post % 3 > 0).all()
        assert not np.isin(found.post, barred).any()
        (confined,) = Explorer(recommender, 0.5, str(version)).rank_many(
            USERS[:1], END, K, among, among
        )
        assert np.isin(confined.post, among).all()
        drawn |= set(found.post[K - found.n_explored :].tolist())
    assert len(drawn) > 10


def test_a_list_of_all_posts_does_not_explore(learned: Learned) -> None:
    explorer = Explorer(recommender_of(learned, candidates=30), 0.5, "v")
    few = np.array([4, 9, 30])
    (ranked,) = explorer.rank_many(USERS[:1], END, K, few, few)
    assert sorted(ranked.post.tolist()) == few.tolist()
    assert ranked.propensity == pytest.approx([1, 1, 1])
    (none,) = explorer.rank_many(USERS[:1], END, K, few[:0], few[:0])
    assert len(none.post) == len(none.propensity) == 0


def test_of_equal_posts_the_one_that_is_less_known_is_likelier_drawn(learned: Learned) -> None:
    shared = learned.store.states.as_of(25)
    n_shown = shared.n_shown.copy()
    n_shown[:10] = 0
    spread, fewer = (unknown_spread(replace(shared, n_shown=n)) for n in (shared.n_shown, n_shown))
    assert (fewer[:, :10] > spread[:, :10]).all()
    assert np.array_equal(fewer[:, 10:], spread[:, 10:])
    score = np.full(20, -2.0)
    score[:5] = -1.0
    better = chances_to_be_better(score, np.linspace(0.05, 1, 20), 5)
    assert (np.diff(better[5:]) > 0).all()
    assert (better[:5] == 0.5).all()


def test_a_post_that_the_feed_never_showed_is_found() -> None:
    learned, at = simulated(), 3 * DAY
    never = np.flatnonzero(learned.store.states.as_of(3).n_shown == 0)
    recommender = recommender_of(learned, candidates=30)
    found = [
        Explorer(recommender, 0.5, str(version)).rank_many(USERS[:1], at, K)[0]
        for version in range(150)
    ]
    assert np.isin(np.concatenate([ranked.post for ranked in found]), never).any()
    assert not np.isin(recommender.rank(3, at, 40).post, never).any()
