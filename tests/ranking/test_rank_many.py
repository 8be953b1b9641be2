"""Many users at once get the lists that each gets alone, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from feedrank.features.question import Question
from feedrank.features.spec import assemble
from feedrank.ranking import recommender as module
from feedrank.ranking.recommender import Ranked, Recommender
from tests.support.simulated_logs import DAY, Learned, recommender_of

N_USERS = 40
EVERYONE = np.random.default_rng(5).permutation(300)[:N_USERS]
OF_DAY = np.random.default_rng(6).integers(0, DAY, N_USERS)


def _same(many: list[Ranked], alone: list[Ranked]) -> bool:
    return len(many) == len(alone) and all(
        a.post.tolist() == b.post.tolist()
        and a.probability.tobytes() == b.probability.tobytes()
        and a.n_ranked == b.n_ranked
        for a, b in zip(many, alone, strict=True)
    )


def _alone(recommender: Recommender, at: np.ndarray) -> list[Ranked]:
    requests = zip(EVERYONE.tolist(), at.tolist(), strict=True)
    return [recommender.rank(user, moment, 5) for user, moment in requests]


@pytest.mark.parametrize("exclude", ["nothing", "liked", "seen"])
@pytest.mark.parametrize("block_pairs", [1, 2_000, 1 << 17])
def test_many_users_get_the_lists_that_each_gets_alone(
    learned: Learned, monkeypatch: pytest.MonkeyPatch, exclude: str, block_pairs: int
) -> None:
    monkeypatch.setattr(module, "BLOCK_PAIRS", block_pairs)
    recommender = recommender_of(learned, candidates=30, exclude=exclude)
    for day in (-1, 8, 25, 90):
        at = day * DAY + OF_DAY
        assert _same(recommender.rank_many(EVERYONE, at, 5), _alone(recommender, at))


def test_each_of_many_users_has_candidates_of_their_own(learned: Learned) -> None:
    recommender, rng = recommender_of(learned, candidates=30), np.random.default_rng(8)
    n_posts, at = len(learned.log.posts), 22 * DAY + OF_DAY
    sizes = [0, 3, 29, 30, 31, n_posts // 2, n_posts]
    candidates = [
        np.sort(rng.choice(n_posts, sizes[i % len(sizes)], replace=False)) for i in range(N_USERS)
    ]
    requests = zip(EVERYONE.tolist(), at.tolist(), candidates, strict=True)
    alone = [recommender.rank(user, moment, 5, own) for user, moment, own in requests]
    assert _same(recommender.rank_many(EVERYONE, at, 5, candidates), alone)
    for ranked, own in zip(alone, candidates, strict=True):
        assert set(ranked.post.tolist()) <= set(own.tolist())
        assert len(ranked.post) == min(5, len(own))


def test_a_grid_has_the_bits_of_its_pairs_in_every_feature(learned: Learned) -> None:
    recommender, at = learned.recommender, 21 * DAY + OF_DAY
    posts = np.arange(0, len(learned.log.posts), 3)
    requests = recommender.requests(EVERYONE, at)
    user = np.repeat(np.arange(N_USERS), len(posts))
    states = requests.users
    pairs = Question(requests.shared, states, user, np.tile(posts, N_USERS), at[user])
    matrix = assemble(recommender.features, pairs)
    grid = requests.grid(posts)
    for feature, expected in zip(recommender.features, matrix.T, strict=True):
        column = np.asarray(feature.read(grid), np.float32)
        found = np.broadcast_to(column, (N_USERS, len(posts))).ravel()
        assert found.tobytes() == np.ascontiguousarray(expected).tobytes(), feature.name


def test_scores_of_many_are_those_of_each(learned: Learned) -> None:
    recommender, at = learned.recommender, 15 * DAY + OF_DAY
    posts = [np.arange(n % 7) for n in range(N_USERS)]
    scores = recommender.score_many(EVERYONE, at, posts)
    for user, moment, own, score in zip(EVERYONE.tolist(), at.tolist(), posts, scores, strict=True):
        assert score.tobytes() == recommender.score(user, moment, own).tobytes()


def test_moments_of_two_steps_are_refused(learned: Learned) -> None:
    with pytest.raises(ValueError, match="too many values"):
        learned.recommender.rank_many(EVERYONE[:2], np.array([5 * DAY, 6 * DAY]), 5)


def test_nobody_gets_no_list(learned: Learned) -> None:
    assert learned.recommender.rank_many(EVERYONE[:0], OF_DAY[:0], 5) == []
