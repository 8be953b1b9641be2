from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pytest

from feedrank.log.impressions import Impressions
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.classification import auc
from feedrank.validation.baselines.baseline import Baseline
from feedrank.validation.baselines.decayed_likes import DecayedLikes, choose_half_life, hit_rate
from feedrank.validation.baselines.ease import RIDGE, Ease, EaseWeights
from feedrank.validation.baselines.lightgbm_peer import LightGbm, PeerRows, fit_lightgbm
from feedrank.validation.baselines.peer_features import PRIOR, PeerFeatures
from feedrank.validation.methods import method_names
from tests.support.simulated_logs import (
    DAY,
    DEFAULTS,
    Learned,
    learned,
    posts_table,
    simulated,
    users_table,
    write_log,
)

CUTOFF = 20 * DAY
needs_lightgbm = pytest.mark.skipif(
    importlib.util.find_spec("lightgbm") is None, reason="'lightgbm' is not installed"
)


@pytest.fixture(scope="module")
def usual() -> Learned:
    return simulated()


def rows_of(usual: Learned) -> Impressions:
    return Impressions.joined(usual.log.buckets())


@pytest.mark.parametrize("at", [CUTOFF, CUTOFF + 3 * DAY + 50_000, 9 * DAY])
def test_a_like_weighs_half_as_much_after_a_half_life(usual: Learned, at: int) -> None:
    rows, now = rows_of(usual), at // DAY
    expected = np.zeros(usual.log.meta.n_posts)
    for post, moment, liked in zip(rows.post, rows.at, rows.liked, strict=True):
        if liked and moment // DAY < now:
            expected[post] += 0.5 ** ((now - moment // DAY) / 3)
    baseline = DecayedLikes(usual.store, 3.0)
    baseline.score(0, 25 * DAY, np.arange(3))  # whatever was asked before
    np.testing.assert_allclose(baseline.score(0, at, np.arange(len(expected))), expected)


def test_a_hit_rate_is_the_share_of_long_requests_whose_best_five_hold_a_like() -> None:
    request = np.repeat([0, 1, 2], [6, 6, 5])
    score = np.concatenate([np.arange(6), np.arange(6), np.arange(5)]).astype(float)
    liked = np.zeros(17, bool)
    liked[[0, 11, 12]] = True  # the worst of the first, the best of the second, a short request
    assert hit_rate(request, score, liked) == 0.5


def test_the_half_life_follows_what_orders_late_requests_best() -> None:
    days, users, posts = 20, 60, 12
    user, day, post = (x.ravel() for x in np.meshgrid(
        np.arange(users), np.arange(days), np.arange(posts), indexing="ij"))  # fmt: skip
    moves = np.where((post + day // 2) % posts < 3, 0.9, 0.05)  # on to other posts every two days
    # A third is liked on even days, another on odd ones: yesterday misleads. The rest stays.
    stays = np.where(post < 8, np.where((post < 4) == (day % 2 == 0), 0.95, 0.05), 0.6)
    draws = np.random.default_rng(0).random(len(post))
    at = (day * DAY + 3600 * (post + 1)).astype(np.uint32)
    short, long = (
        choose_half_life(_store(Impressions(user.astype(np.uint32), post.astype(np.uint32), at,
                                            (draws < rate).astype(np.uint8))), 18, 4)
        for rate in (moves, stays)
    )  # fmt: skip
    assert short < 3 <= long


def _store(rows: Impressions) -> FeatureStore:
    with tempfile.TemporaryDirectory() as scratch:
        log = write_log(Path(scratch), users_table(60), posts_table(12), rows)
        return learned(log, simulated().params)[0]


def test_ease_is_its_closed_form(usual: Learned) -> None:
    rows = rows_of(usual)
    likes = np.zeros((usual.log.meta.n_users, usual.log.meta.n_posts))
    kept = (rows.liked > 0) & (rows.at < CUTOFF)
    likes[rows.user[kept], rows.post[kept]] = 1
    inverse = np.linalg.inv(likes.T @ likes + RIDGE * np.eye(likes.shape[1]))
    weight = -inverse / np.diag(inverse)
    np.fill_diagonal(weight, 0)
    ease = Ease(usual.store, EaseWeights.fit(usual.store, CUTOFF // DAY))
    for user in (0, 7, 299):
        found = ease.score(user, CUTOFF, np.arange(likes.shape[1]))
        np.testing.assert_allclose(found, likes[user] @ weight, atol=1e-5)


def test_features_of_peers_are_counts_before_the_step(usual: Learned) -> None:
    rows, posts = rows_of(usual), np.arange(usual.log.meta.n_posts)
    features, user = PeerFeatures(usual.store), 5
    features.matrix(user, 0, 28, posts)  # whatever was asked before
    matrix = features.matrix(user, CUTOFF + 50, CUTOFF // DAY, posts)
    early = rows[rows.at < CUTOFF]
    overall = (early.liked.sum() + 1) / (len(early) + PRIOR)
    for post in (0, 3, 100):
        of_post = early[early.post == post]
        last_day = of_post[of_post.at >= CUTOFF - DAY]
        expected = [
            x
            for some in (of_post, last_day)
            for x in (some.liked.sum(), len(some),
                      (some.liked.sum() + PRIOR * overall) / (len(some) + PRIOR))
        ]  # fmt: skip
        np.testing.assert_allclose(matrix[post, :6], expected, rtol=1e-5)
    own = early[early.user == user]
    pair = 3 * 3 + 1  # columns of all, a day, a week, and the age
    np.testing.assert_array_equal(
        matrix[:, pair + 1], np.bincount(own.post.astype(np.int64), minlength=len(posts))
    )


@needs_lightgbm
@pytest.mark.parametrize("objective", ["binary", "lambdarank"])
def test_trees_of_peers_repeat_and_tell_likes_apart(usual: Learned, objective: str) -> None:
    rows = PeerRows.of(usual.store, 5, 20, seed=1)
    assert rows.sizes.sum() == len(rows.liked) == len(rows.matrix)
    model = fit_lightgbm(rows, objective, 1, seed=1)
    assert model == fit_lightgbm(rows, objective, 1, seed=1)
    method = LightGbm(PeerFeatures(usual.store), model, usual.store)
    late = rows_of(usual)
    late = late[(late.at >= 20 * DAY)][::7]
    scores = [
        method.score(int(u), int(at), np.array([p]))[0]
        for u, p, at in zip(late.user, late.post, late.at, strict=True)
    ]
    assert auc(late.liked, np.array(scores)) > 0.52


@needs_lightgbm
def test_peers_know_nothing_of_their_step_or_later(usual: Learned) -> None:
    rows, posts = rows_of(usual), np.arange(usual.log.meta.n_posts)
    flipped = Impressions(
        rows.user, rows.post, rows.at, np.where(rows.at >= CUTOFF, 1 - rows.liked, rows.liked)
    )
    other = _changed(usual, flipped)
    step = CUTOFF // DAY
    stores = (usual.store, other)
    models = [fit_lightgbm(PeerRows.of(store, 5, step, 1), "binary", 1, 1) for store in stores]
    assert models[0] == models[1]
    assert choose_half_life(usual.store, step, 3) == choose_half_life(other, step, 3)
    for make in (
        lambda store: DecayedLikes(store, 3.0),
        lambda store: Ease(store, EaseWeights.fit(store, step)),
        lambda store: LightGbm(PeerFeatures(store), models[0], store),
    ):
        first, second = (make(store) for store in stores)
        assert _scores(first, CUTOFF + 9, posts) == _scores(second, CUTOFF + 9, posts)
        assert _scores(first, CUTOFF + 2 * DAY, posts) != _scores(second, CUTOFF + 2 * DAY, posts)


def _changed(usual: Learned, rows: Impressions) -> FeatureStore:
    with tempfile.TemporaryDirectory() as scratch:
        log = write_log(
            Path(scratch), usual.log.users, usual.log.posts, rows, origin=usual.log.meta.origin
        )
        return learned(log, usual.params)[0]


def _scores(baseline: Baseline, at: int, posts: np.ndarray) -> list[bytes]:
    return [baseline.score(user, at, posts).tobytes() for user in range(0, 300, 30)]


def test_by_segment_is_left_out_where_nothing_splits_the_users() -> None:
    assert "most_liked_by_segment" in method_names(DEFAULTS.validate, 2)
    assert "most_liked_by_segment" not in method_names(DEFAULTS.validate, 1)
