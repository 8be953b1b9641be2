from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from feedrank.features.spec import features_of
from feedrank.log.metadata import ALWAYS, NEVER
from feedrank.ranking.recommender import Recommender, UnknownUserError
from feedrank.training.fit import fit_ranker
from tests.support.simulated_logs import DAY, Learned, recommender_of, simulated

K = 5


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


@pytest.fixture(scope="module")
def recommender(learned: Learned) -> Recommender:
    return learned.recommender


@pytest.fixture(scope="module")
def user_id(learned: Learned) -> int:
    return int(learned.log.users["user_id"].iloc[4])


def _history(learned: Learned, user: int, at: int) -> list[tuple[int, bool]]:
    """(post, liked) of a user's impressions in the steps before a moment, from the log itself."""
    rows = [b[(b.user == user) & (b.at // DAY < at // DAY)] for b in learned.log.buckets()]
    return [
        (post, bool(liked))
        for part in rows
        for post, liked in zip(part.post.tolist(), part.liked.tolist(), strict=True)
    ]


def test_a_list_is_the_best_of_all_scores_when_nothing_is_cut(learned: Learned) -> None:
    everything = recommender_of(learned, candidates=10_000)
    for user, at in ((0, 9 * DAY), (150, 22 * DAY + 30_000), (299, 50 * DAY)):
        posts = everything.open_posts(user, at, k=K)
        scores = everything.score(user, at, posts)
        best = posts[np.lexsort((posts, -scores))][:K].tolist()
        assert everything.rank(user, at, K).post.tolist() == best


def test_the_cut_keeps_what_scoring_everything_finds(learned: Learned) -> None:
    rows, store = learned.rows, learned.store
    ranker = fit_ranker(rows, None, features_of(store.fitted), learned.params.train)
    cut, everything = (Recommender(store, ranker, n, "nothing") for n in (60, 10_000))
    rng = np.random.default_rng(6)
    requests = [(int(rng.integers(300)), int(rng.integers(7 * DAY, 30 * DAY))) for _ in range(150)]
    lists = [[r.rank(user, at, K) for r in (cut, everything)] for user, at in requests]
    assert np.mean([a.post.tolist() == b.post.tolist() for a, b in lists]) > 0.95
    chances = np.array([[1 - np.prod(1 - r.probability) for r in pair] for pair in lists])
    assert np.mean(chances[:, 1] - chances[:, 0]) < 0.001


def test_the_cut_saves_the_trees_most_of_the_work(learned: Learned) -> None:
    assert recommender_of(learned, candidates=60).rank(3, 20 * DAY, K).n_ranked < 100


def test_a_list_is_as_long_as_asked_however_few_candidates_are_ranked(learned: Learned) -> None:
    few = recommender_of(learned, candidates=2)
    assert len(few.rank(3, 20 * DAY, 40).post) == 40


def test_more_than_all_posts_gives_all_posts(
    learned: Learned, recommender: Recommender, user_id: int
) -> None:
    found = recommender.recommend(user_id, datetime(2021, 10, 20), 10_000)
    assert sorted(post for post, _ in found) == learned.log.posts["post_id"].tolist()


def test_ids_are_those_of_the_database(learned: Learned, recommender: Recommender) -> None:
    user = 17
    user_id = int(learned.log.users["user_id"].iloc[user])
    at = datetime(2021, 10, 20, 12)
    ranked = recommender.rank(user, learned.log.meta.seconds(at), K)
    ids = learned.log.posts["post_id"].to_numpy()[ranked.post]
    assert recommender.recommend(user_id, at, K) == list(
        zip(ids.tolist(), ranked.probability.tolist(), strict=True)
    )


@pytest.mark.parametrize("user_id", [-1, 0, 10**9, 2**63 - 1, 2**63, 2**80])
def test_an_unknown_user_is_an_error(recommender: Recommender, user_id: int) -> None:
    with pytest.raises(UnknownUserError, match=str(user_id)):
        recommender.recommend(user_id, datetime(2021, 10, 20), K)


def test_moments_after_the_data_use_the_last_state(
    learned: Learned, recommender: Recommender
) -> None:
    end = learned.log.meta.n_days * DAY
    first = recommender.rank(4, end + 40_000, K)
    for days in (7, 28, 700_000):  # of the same weekday, as of the same time of day
        later = recommender.rank(4, end + 40_000 + days * DAY, K)
        assert later.post.tolist() == first.post.tolist()
        assert later.probability.tolist() == first.probability.tolist()


def test_the_last_step_counts_for_moments_after_the_data(
    learned: Learned, recommender: Recommender
) -> None:
    user = int(learned.log.bucket(0).user[-1])  # of the latest row
    last_day = learned.log.meta.last_at // DAY * DAY
    posts = np.arange(len(learned.log.posts))
    within, after = (recommender.matrix(user, last_day + n * DAY, posts) for n in (0, 1))
    column = [f.name for f in recommender.features].index("user_impression_count")
    assert (after[:, column] > within[:, column]).all()


def test_before_the_data_everyone_of_a_profile_gets_the_same_list(
    learned: Learned, recommender: Recommender
) -> None:
    codes = learned.store.catalogue.codes
    _, first, of = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    alike = [(first[of[user]], user) for user in range(300) if first[of[user]] != user]
    assert alike
    for one, other in alike:
        for at in (-1, -30 * DAY, 5 * 3600):
            lists = [recommender.rank(int(user), at, K) for user in (one, other)]
            assert lists[0].post.tolist() == lists[1].post.tolist()
            assert lists[0].probability.tolist() == lists[1].probability.tolist()


@pytest.mark.parametrize("at", [-(10**9), -1, 0, 13 * DAY + 5, 29 * DAY, 10**11])
def test_nothing_is_kept_back_unless_asked(learned: Learned, at: int) -> None:
    everything = recommender_of(learned, candidates=10_000)
    assert len(everything.rank(8, at, 10_000).post) == len(learned.log.posts)


@pytest.mark.parametrize("exclude", ["liked", "seen"])
@pytest.mark.parametrize("at", [-DAY, 3 * 3600, 13 * DAY + 5, 26 * DAY, 90 * DAY])
def test_what_is_excluded_is_known_as_of_the_moment(
    learned: Learned, exclude: str, at: int
) -> None:
    recommender = recommender_of(learned, exclude=exclude, candidates=10_000)
    posts = set(range(len(learned.log.posts)))
    n_excluded = 0
    for user in range(0, 300, 23):
        history = _history(learned, user, at)
        excluded = {post for post, liked in history if liked or exclude == "seen"}
        assert set(recommender.rank(user, at, 10_000).post.tolist()) == posts - excluded
        n_excluded += len(excluded)
    assert n_excluded > 0 or at < DAY


def test_an_aged_recommender_excludes_what_it_knew(learned: Learned) -> None:
    as_of = 12 * DAY
    aged = recommender_of(learned, as_of=as_of, exclude="seen", candidates=10_000)
    user = int(learned.log.bucket(0).user[-1])
    excluded = {post for post, _ in _history(learned, user, as_of)}
    assert len(aged.rank(user, 28 * DAY, 10_000).post) == len(learned.log.posts) - len(excluded)


def test_candidates_bound_the_list(
    learned: Learned, recommender: Recommender, user_id: int
) -> None:
    ids = learned.log.posts["post_id"].to_numpy()
    at = datetime(2021, 10, 25, 12)
    candidates = ids[[200, 3, 90, 3, 41]]
    found = recommender.recommend(user_id, at, 3, candidates)
    everything = dict(recommender.recommend(user_id, at, 10_000))
    best = sorted(set(candidates.tolist()), key=lambda i: -everything[i])[:3]
    assert [post for post, _ in found] == best
    assert all(everything[post] == probability for post, probability in found)


def test_the_order_of_candidates_does_not_matter(
    learned: Learned, recommender: Recommender, user_id: int
) -> None:
    ids = learned.log.posts["post_id"].to_numpy()[::3]
    at = datetime(2021, 10, 25, 12)
    assert recommender.recommend(user_id, at, K, ids) == recommender.recommend(
        user_id, at, K, ids[::-1]
    )


@pytest.mark.parametrize("candidates", [[], [-5, 10**12, 2**70]])
def test_no_known_candidate_gives_an_empty_list(
    recommender: Recommender, candidates: list[int], user_id: int
) -> None:
    some = np.array(candidates, dtype=object)
    assert recommender.recommend(user_id, datetime(2021, 10, 25), K, some) == []


def test_an_answer_does_not_depend_on_what_was_asked_before(learned: Learned) -> None:
    rng = np.random.default_rng(7)
    requests = [(int(rng.integers(300)), int(rng.integers(-DAY, 35 * DAY))) for _ in range(60)]
    forward, backward = learned.recommender, learned.recommender
    there = {r: forward.rank(*r, K).post.tolist() for r in requests}
    back = {r: backward.rank(*r, K).post.tolist() for r in reversed(requests)}
    assert there == back


def test_every_second_of_a_step_knows_the_same(recommender: Recommender) -> None:
    posts, day, noon = np.arange(250), 17 * DAY, 12 * 3600
    hour = recommender.matrix(5, day + noon, posts)
    assert np.array_equal(hour, recommender.matrix(5, day + noon + 3599, posts), equal_nan=True)
    assert not np.array_equal(hour, recommender.matrix(5, day + DAY + noon, posts), equal_nan=True)


def test_microseconds_do_not_matter(recommender: Recommender, user_id: int) -> None:
    at = datetime(2021, 10, 25)
    late = at + timedelta(microseconds=999_999)
    assert recommender.recommend(user_id, at, K) == recommender.recommend(user_id, late, K)


def test_a_hidden_post_is_not_listed_from_its_moment_on(
    learned: Learned, recommender: Recommender, user_id: int
) -> None:
    at = 20 * DAY
    first, second = recommender.rank(4, at, K).post[:2].tolist()
    hidden_from = np.full(len(learned.log.posts), NEVER)
    hidden_from[[first, second]] = ALWAYS, at + 1
    catalogue = replace(learned.store.catalogue, hidden_from=hidden_from)
    hides = Recommender(
        replace(learned.store, catalogue=catalogue), learned.ranker, 10_000, "nothing"
    )
    assert first not in hides.rank(4, at, K).post
    assert second in hides.rank(4, at, K).post
    assert not np.isin([first, second], hides.rank(4, at + 1, K).post).any()
    ids = learned.log.posts["post_id"].to_numpy()[[first, second]]
    moment = learned.log.meta.moment(at)
    assert [post for post, _ in hides.recommend(user_id, moment, K, ids)] == [ids[1]]
    # What the feed has shown is replayed, whatever became of it.
    shown = np.sort([first, second])
    assert hides.open_posts(4, at + 1, shown).tolist() == shown.tolist()
