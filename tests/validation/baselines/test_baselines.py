from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import xgboost as xgb

from feedrank.log.impressions import Impressions
from feedrank.ranking.top_k import best_rows
from feedrank.stats.classification import auc
from feedrank.validation.baselines import classic as module
from feedrank.validation.baselines.baseline import Random
from feedrank.validation.baselines.classic import Classic
from feedrank.validation.baselines.decayed_likes import DecayedLikes
from feedrank.validation.baselines.most_liked import LIKED_PRIOR, MostLiked
from tests.support.request_tables import list_of
from tests.support.simulated_logs import DAY, Learned, divided, simulated

CUTOFF = 20 * DAY


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _earlier(learned: Learned, at: int = CUTOFF) -> Impressions:
    return Impressions.joined(b.before(at // DAY * DAY) for b in learned.log.buckets())


@pytest.mark.parametrize("at", [CUTOFF, CUTOFF + 3 * DAY + 50_000, 9 * DAY, 99 * DAY])
def test_most_liked_is_the_smoothed_like_rate_before_the_moment_s_step(
    learned: Learned, at: int
) -> None:
    rows = _earlier(learned, at)
    overall = (rows.liked.sum() + 1) / (len(rows) + 10)
    baseline = MostLiked(learned.store, by_segment=False)
    baseline.score(3, 25 * DAY, np.arange(4))  # whatever was asked before
    posts = np.arange(learned.log.meta.n_posts)
    scores = baseline.score(3, at, posts)
    for post in posts:
        liked = rows.liked[rows.post == post]
        expected = (liked.sum() + LIKED_PRIOR * overall) / (len(liked) + LIKED_PRIOR)
        assert scores[post] == pytest.approx(expected)
    assert list_of(baseline, 250, at, 5, posts).post.tolist() == np.argsort(-scores)[:5].tolist()


def test_an_aged_most_liked_is_that_of_its_cutoff(learned: Learned) -> None:
    posts = np.arange(learned.log.meta.n_posts)
    for by_segment in (False, True):
        fresh, aged = (MostLiked(learned.store, by_segment, a) for a in (None, CUTOFF))
        of_cutoff = fresh.score(7, CUTOFF, posts)
        for at in (CUTOFF, CUTOFF + DAY, 29 * DAY):
            np.testing.assert_array_equal(aged.score(7, at, posts), of_cutoff)
        assert not np.array_equal(fresh.score(7, 29 * DAY, posts), of_cutoff)


def test_most_liked_knows_no_segment_before_it_is_found() -> None:
    store, posts = divided().store, np.arange(250)
    of_all, by_segment = (MostLiked(store, own) for own in (False, True))
    since = store.fitted.segments_since * DAY
    for at, are_equal in ((since - 1, True), (since + 1, False)):
        scores = [
            b.score(user, at, posts).tolist() for b in (of_all, by_segment) for user in (0, 9)
        ]
        assert (scores[:2] == scores[2:]) == are_equal


def test_most_liked_by_segment_counts_the_segment_s_users_alone(learned: Learned) -> None:
    store, rows = learned.store, _earlier(learned)
    segment = store.fitted.segment(store.catalogue.codes)
    baseline = MostLiked(store, by_segment=True)
    shown: dict[tuple[int, int], int] = defaultdict(int)
    liked: dict[tuple[int, int], int] = defaultdict(int)
    for user, post, like in zip(rows.user, rows.post, rows.liked, strict=True):
        shown[segment[user], post] += 1
        liked[segment[user], post] += like
    overall = (rows.liked.sum() + 1) / (len(rows) + 10)
    for user in (0, 5, 200):
        scores = baseline.score(user, CUTOFF, np.arange(50))
        for post in range(50):
            key = (segment[user], post)
            expected = (liked[key] + LIKED_PRIOR * overall) / (shown[key] + LIKED_PRIOR)
            assert scores[post] == pytest.approx(expected)


def test_random_repeats_with_its_seed_user_and_moment() -> None:
    lists = [
        tuple(list_of(Random(seed), user, at, 5, np.arange(100)).post.tolist())
        for seed, user, at in ((1, 2, 3), (1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))
    ]
    assert lists[0] == lists[1]
    assert len(set(lists)) == 4


def test_random_shows_every_post_alike() -> None:
    posts = np.arange(20)
    lists = [list_of(Random(1), user, 5, 5, posts).post for user in range(2000)]
    n = np.bincount(np.concatenate(lists), minlength=20)
    assert n.sum() == 10_000
    assert np.abs(n - 500).max() < 100


def test_the_classic_solution_tells_its_own_rows_apart(learned: Learned) -> None:
    rows = learned.rows
    classic = Classic.fit(learned.store, rows, seed=1)
    some = rows[::40]
    scores = [
        classic.score(int(u), int(at), np.array([p]))[0]
        for u, p, at in zip(some.user, some.post, some.at, strict=True)
    ]
    assert auc(some.liked, np.array(scores)) > 0.6


def test_the_classic_solution_repeats(learned: Learned) -> None:
    posts = np.arange(learned.log.meta.n_posts)
    first, second = (
        Classic.fit(learned.store, learned.rows, seed=1).score(4, CUTOFF, posts) for _ in range(2)
    )
    assert first.tobytes() == second.tobytes()


def test_classic_scores_are_those_of_xgboost(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    boosters: list[xgb.Booster] = []
    train, encoded, columns = xgb.train, module._encoded, []
    monkeypatch.setattr(module.xgb, "train", lambda *a: boosters.append(train(*a)) or boosters[-1])
    monkeypatch.setattr(module, "_encoded", lambda *a: columns.append(encoded(*a)) or columns[-1])
    classic = Classic.fit(learned.store, learned.rows, seed=1)
    posts, (user, post) = np.arange(learned.log.meta.n_posts), columns
    assert classic.holds.shape[1] < len(posts)
    for one, at in ((0, CUTOFF), (9, CUTOFF + 7 * 3600), (200, CUTOFF + 90_000)):
        hour = np.full((len(posts), 1), at // 3600 % 24)
        matrix = np.hstack([hour, np.tile(user[one], (len(posts), 1)), post]).astype(np.float32)
        expected = boosters[0].inplace_predict(matrix, predict_type="margin")
        found = classic.score(one, at, posts)
        assert np.ptp(expected) > 0.1
        assert np.ptp(found - expected) < 1e-5


def test_classic_scores_have_the_same_bits_in_any_order_of_summation(learned: Learned) -> None:
    classic = Classic.fit(learned.store, learned.rows, seed=1)
    every = np.random.default_rng(3).permutation(len(classic.value))
    other = replace(
        classic, low=classic.low[:, every], high=classic.high[:, every], value=classic.value[every],
        holds=classic.holds[every],
    )  # fmt: skip
    posts = np.arange(learned.log.meta.n_posts)
    for user in (0, 9, 200):
        found, expected = (c.score(user, CUTOFF, posts).tobytes() for c in (classic, other))
        assert found == expected


def test_baselines_rank_many_requests_as_each_alone(learned: Learned) -> None:
    store, users = learned.store, np.array([3, 9, 9, 250])
    at = CUTOFF + np.array([0, 7_000, 90_000, 90_000])
    every = np.arange(learned.log.meta.n_posts)
    some = [every, every[5:90:3], every[::2], every[:0]]
    classic, decayed = Classic.fit(store, learned.rows, seed=1), DecayedLikes(store, 3.0)
    for baseline in (MostLiked(store, False), MostLiked(store, True), classic, decayed):
        for k in (5, 60):  # the second time is of what the first one kept
            lists = baseline.rank_many(users, at, k, some)
            for ranked, user, moment, posts in zip(lists, users, at, some, strict=True):
                score = baseline.score(int(user), int(moment), posts)
                best = best_rows(score, k)
                assert ranked.post.tolist() == posts[best].tolist()
                assert ranked.probability.tolist() == score[best].tolist()


def test_every_baseline_orders_candidates_as_it_orders_all_posts(learned: Learned) -> None:
    posts = np.arange(learned.log.meta.n_posts)
    some = posts[3::11]
    classic = Classic.fit(learned.store, learned.rows, seed=1)
    store = learned.store
    for baseline in (MostLiked(store, False), MostLiked(store, True), classic):
        everything = list_of(baseline, 9, CUTOFF, 10_000, posts).post.tolist()
        among = list_of(baseline, 9, CUTOFF, 10_000, some).post.tolist()
        assert among == [post for post in everything if post in set(some.tolist())]
        assert len(everything) == learned.log.meta.n_posts


def test_a_classic_solution_without_profiles_is_one_of_posts_and_hours() -> None:
    learned = simulated(profiles=False)
    classic = Classic.fit(learned.store, learned.rows, seed=1)
    posts = np.arange(learned.log.meta.n_posts)
    lists = [list_of(classic, user, CUTOFF, 5, posts).post.tolist() for user in (0, 100, 299)]
    assert lists[0] == lists[1] == lists[2]
