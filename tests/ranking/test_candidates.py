"""The first stage of a list has the bits of single pairs, added up by grain."""

from __future__ import annotations

import numpy as np
import pytest

from feedrank.features.question import Question
from feedrank.features.spec import CLUSTER, POST, TOPIC, USER, Feature, assemble
from feedrank.ranking.candidates import CandidateGenerator, StepRequests
from feedrank.ranking.first_stage import FirstStage
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
    found = generator.log_odds(requests, some)
    asked = np.isin(post, some)
    assert found.ravel().tobytes() == first_stage(matrix[asked]).tobytes()
