"""The first stage of a list has the bits of single pairs, added up by grain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from feedrank.features.feature import CLUSTER, POST, SHOWN, TOPIC, USER, Feature
from feedrank.features.question import Question
from feedrank.features.spec import assemble
from feedrank.ranking.candidates import ROUGH, CandidateGenerator
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.step_requests import StepRequests
from feedrank.ranking.top_k import Reach, best_rows
from tests.support.simulated_logs import DAY, Learned, recommender_of

USERS = np.arange(0, 300, 8)
OF_DAY = np.linspace(0, DAY - 1, len(USERS)).astype(np.int64)


def _all_pairs(
    learned: Learned, day: int
) -> tuple[StepRequests, np.ndarray, np.ndarray, np.ndarray]:
    """Requests, and user, post and matrix of each of their pairs with all posts."""
    recommender = recommender_of(learned)
    requests = recommender.requests(USERS, day * DAY + OF_DAY)
    n_posts = len(learned.log.posts)
    user, post = np.repeat(np.arange(len(USERS)), n_posts), np.tile(np.arange(n_posts), len(USERS))
    pairs = Question(requests.shared, requests.users, user, post, requests.at[user])
    return requests, user, post, assemble(recommender.features, pairs)


def _keys(
    learned: Learned, requests: StepRequests, user: np.ndarray, post: np.ndarray
) -> dict[str, np.ndarray]:
    """What tells the values of each grain, as one number a pair."""
    fitted, refit = learned.store.fitted, requests.shared.refit
    return {
        POST: requests.users.segment[user] * fitted.n_posts + post,
        CLUSTER: user * fitted.n_clusters + refit.clusters.cluster[post],
        TOPIC: user * fitted.n_topics + fitted.topic[post],
        USER: user,
    }


def test_the_grain_of_a_feature_tells_its_value(learned: Learned) -> None:
    requests, user, post, matrix = _all_pairs(learned, 22)
    keys = _keys(learned, requests, user, post)
    for feature, values in zip(recommender_of(learned).features, matrix.T, strict=True):
        if feature.grain in keys:
            _, first, cell = np.unique(keys[feature.grain], return_index=True, return_inverse=True)
            assert values.tobytes() == values[first][cell].tobytes(), feature.name


def test_features_of_shown_pairs_are_0_of_others(learned: Learned) -> None:
    requests, user, post, matrix = _all_pairs(learned, 22)
    features = recommender_of(learned).features
    is_shown = requests.users.pairs.before(user, post, 22).shown > 0
    columns = [i for i, feature in enumerate(features) if feature.grain == SHOWN]
    assert not matrix[~is_shown][:, columns].any()
    assert matrix[is_shown][:, columns].any(axis=0).all()


def test_pairs_that_were_shown_are_each_asked_once(learned: Learned) -> None:
    requests, user, post, matrix = _all_pairs(learned, 22)
    shown = requests.shown()
    is_shown = requests.users.pairs.before(user, post, 22).shown > 0
    assert shown.user.tolist() == user[is_shown].tolist()
    assert shown.post.tolist() == post[is_shown].tolist()
    found = assemble(recommender_of(learned).features, shown)
    assert found.tobytes() == matrix[is_shown].tobytes()


@pytest.mark.parametrize("day", [0, 8, 25])
def test_log_odds_are_those_of_single_pairs(learned: Learned, day: int) -> None:
    rng = np.random.default_rng(day)
    requests, _, post, matrix = _all_pairs(learned, day)
    features: tuple[Feature, ...] = recommender_of(learned).features
    columns = tuple(i for i, feature in enumerate(features) if feature.weight is not None)
    weights, grains = rng.normal(1, 1, len(columns)), [features[i].grain for i in columns]
    first_stage = FirstStage(columns, tuple(weights.tolist()), -1.0, tuple(grains))
    generator = CandidateGenerator(features, first_stage, learned.store.fitted)
    some = np.flatnonzero(rng.random(len(learned.log.posts)) < 0.5)
    found = generator.log_odds(requests.grid(some), generator.parts(requests))
    asked = np.isin(post, some)
    assert found.ravel().tobytes() == first_stage(matrix[asked]).tobytes()


@pytest.mark.parametrize("level", [-90.0, -2.0, 9.5, 16.0])
@pytest.mark.parametrize("spread", [0.0, 0.3, 4.0, np.inf])
def test_no_post_that_comes_into_the_list_is_out_of_reach(level: float, spread: float) -> None:
    rng, k, n_kept = np.random.default_rng(3), 5, 40
    reach, n = Reach(k, spread), 400
    for scale in (0.01, 1.0):
        log_odds = rng.normal(level, scale, n).astype(np.float32)
        kept = np.flatnonzero(log_odds >= np.sort(log_odds)[-n_kept])
        lift = rng.choice([0, min(spread, 50)], n).astype(np.float32)
        probability = expit(np.float32(log_odds + lift))
        best = kept[best_rows(probability[kept], k)]
        rough = log_odds + rng.uniform(-1, 1, n).astype(np.float32) * np.float32(ROUGH / 2)
        some = reach.rows(rough, n_kept, ROUGH)
        found = some[reach.rows(log_odds[some], n_kept)]
        assert found.tolist() == reach.rows(log_odds, n_kept).tolist()
        assert found[best_rows(probability[found], k)].tolist() == best.tolist()
        assert set(found) <= set(kept)


def test_what_the_trees_cannot_lift_is_not_ranked() -> None:
    log_odds = np.array([-3.0, -1.0, -1.1, -1.5, -9.0], np.float32)
    assert Reach(2, 0.2).rows(log_odds, 4).tolist() == [1, 2]
    assert Reach(2, 0.5).rows(log_odds, 4).tolist() == [1, 2, 3]
    assert Reach(2, 5.0).rows(log_odds, 3).tolist() == [1, 2, 3]
    assert Reach(2, np.inf).rows(log_odds, 4).tolist() == [0, 1, 2, 3]


def test_the_rough_score_of_all_posts_is_near_that_of_single_pairs(learned: Learned) -> None:
    recommender = recommender_of(learned)
    requests = recommender.requests(USERS, 22 * DAY + OF_DAY)
    generator, posts = recommender.first_stage, np.arange(len(learned.log.posts))
    parts = generator.parts(requests)
    exact = generator.log_odds(requests.grid(posts), parts)
    rough = generator.log_odds(requests.whole(), parts)
    assert rough.dtype == exact.dtype == np.float32
    assert np.abs(rough - exact).max() < ROUGH / 1_000  # a slack of none would lose ties
