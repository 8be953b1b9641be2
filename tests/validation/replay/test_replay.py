from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.ranking.recommender import Ranked
from feedrank.validation.replay import requests
from feedrank.validation.replay.replay import ReplayResult, blocks, replay_requests
from feedrank.validation.replay.requests import Requests, Sessions, n_asked
from tests.support.request_tables import requests_of
from tests.support.simulated_logs import (
    DAY,
    DEFAULTS,
    HOUR,
    impressions,
    posts_table,
    random_rows,
    tuples,
    users_table,
    write_log,
)

N_USERS, N_POSTS = 20, 30
FOLD = Fold(since=2 * DAY, cutoff=5 * DAY, until=8 * DAY)


@dataclass(frozen=True)
class ByNumber:
    """The posts of the lowest numbers first; its probability of post p is p / 100."""

    n_posts: int = N_POSTS
    store: ClassVar = SimpleNamespace(history=SimpleNamespace(let_go=lambda: None))
    catalogue: ClassVar = SimpleNamespace(post_ids=np.arange(N_POSTS))

    def step(self, at: int) -> int:
        return at // DAY

    def order(self, posts: np.ndarray) -> np.ndarray:
        return np.sort(posts)

    def rank_many(
        self, users: np.ndarray, at: np.ndarray, k: int, candidates: Sequence[np.ndarray]
    ) -> list[Ranked]:
        assert len({self.step(moment) for moment in at.tolist()}) == 1
        lists = [self.order(posts[posts < self.n_posts])[:k] for posts in candidates]
        return [Ranked(post, post / 100, len(post)) for post in lists]

    def score_many(
        self, users: np.ndarray, at: np.ndarray, posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        return [post / 100 for post in posts]

    def open_posts(self, user: int, at: int, candidates: np.ndarray | None = None) -> np.ndarray:
        post = np.arange(N_POSTS) if candidates is None else candidates
        return post[post < self.n_posts]


@dataclass(frozen=True)
class Backwards(ByNumber):
    """The posts of the highest numbers first."""

    def order(self, posts: np.ndarray) -> np.ndarray:
        return np.sort(posts)[::-1]


def _near(step: int) -> np.ndarray:
    """Impressions near a step: 3 of an even post; of post 1 one from step 6 on."""
    post = np.arange(N_POSTS)
    return np.where(post % 2 == 0, 3, (post == 1) & (step >= 6))


def _unknown(step: int) -> np.ndarray:
    """Standard deviations of posts: a hundredth of the number times the step."""
    return np.arange(N_POSTS) * step / 100


def _replay(
    methods: Sequence[ByNumber], ours: ByNumber, requests: Requests, depth: int, k: int
) -> ReplayResult:
    return replay_requests(methods, ours, ours.open_posts, requests, depth, k, _near, _unknown)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    rows = random_rows(6000, N_USERS, N_POSTS, 9, sessions=300)
    return write_log(
        tmp_path_factory.mktemp("log"), users_table(N_USERS), posts_table(N_POSTS), rows
    )


def _log_of(rows: Impressions, directory: Path, buckets: int = 1) -> Log:
    return write_log(directory, users_table(N_USERS), posts_table(N_POSTS), rows, buckets)


@pytest.mark.parametrize("step", [HOUR, DAY, 7 * DAY])
def test_a_request_is_a_user_s_step_with_all_that_was_shown_in_it(log: Log, step: int) -> None:
    found = requests_of(log, FOLD, step, n=10**6, seed=1)
    rows = [r for r in tuples(Impressions.joined(log.buckets())) if 5 * DAY <= r[2] < 8 * DAY]
    plainly = {}
    for key, cluster in itertools.groupby(sorted(rows, key=lambda r: (r[0], r[2])), lambda r: (
        r[0], r[2] // step
    )):  # fmt: skip
        of = list(cluster)
        posts = {post: any(r[3] for r in of if r[1] == post) for _, post, _, _ in of}
        plainly[key] = (min(r[2] for r in of), dict(sorted(posts.items())))
    assert len(found) == len(plainly)
    for i, (user, at) in enumerate(zip(found.user.tolist(), found.at.tolist(), strict=True)):
        post, liked = found.shown(i)
        first_at, posts = plainly[user, at // step]
        assert at == first_at
        assert dict(zip(post.tolist(), liked.tolist(), strict=True)) == posts


def test_requests_lie_in_the_test_period_in_order_of_time(log: Log) -> None:
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1)
    assert found.at.min() >= FOLD.cutoff
    assert found.at.max() < FOLD.until
    assert (np.diff(found.at) >= 0).all()


def test_a_sample_of_requests_keeps_each_whole(log: Log) -> None:
    everything = requests_of(log, FOLD, DAY, n=10**6, seed=1)
    some = requests_of(log, FOLD, DAY, n=15, seed=1)
    assert len(some) == 15
    place = {(u, a): i for i, (u, a) in enumerate(zip(everything.user, everything.at, strict=True))}
    for i, key in enumerate(zip(some.user, some.at, strict=True)):
        for first, second in zip(some.shown(i), everything.shown(place[key]), strict=True):
            assert first.tolist() == second.tolist()
    other = requests_of(log, FOLD, DAY, n=15, seed=2)
    assert set(zip(some.user, some.at, strict=True)) != set(zip(other.user, other.at, strict=True))


def test_a_larger_sample_holds_the_smaller_one(log: Log) -> None:
    few, more = (requests_of(log, FOLD, DAY, n=n, seed=1) for n in (15, 25))
    keys = [set(zip(r.user.tolist(), r.at.tolist(), strict=True)) for r in (few, more)]
    assert keys[0] < keys[1]


@pytest.mark.parametrize("are_text", [False, True])
def test_an_extract_that_begins_later_and_has_new_users_draws_the_same_requests(
    log: Log, tmp_path: Path, are_text: bool
) -> None:
    rows = Impressions.joined(log.buckets())
    ids = np.arange(1, N_USERS + 1) * 10
    names = ids.astype(str) if are_text else ids
    first = write_log(tmp_path / "a", pd.DataFrame({"user_id": names}), posts_table(N_POSTS), rows)
    late = rows[rows.at >= 2 * DAY]
    moved = Impressions(late.user + 1, late.post, late.at - 2 * DAY, late.liked)
    users = pd.DataFrame({"user_id": np.concatenate([["00"] if are_text else [0], names])})
    begins = "2021-10-03T00:00:00"
    second = write_log(tmp_path / "b", users, posts_table(N_POSTS), moved, origin=begins)
    a = requests_of(first, FOLD, DAY, n=15, seed=1)
    b = requests_of(second, Fold(0, 3 * DAY, 6 * DAY), DAY, n=15, seed=1)
    np.testing.assert_array_equal(a.user, b.user - 1)
    np.testing.assert_array_equal(a.at, b.at + 2 * DAY)


def test_without_a_number_larger_catalogues_have_fewer_requests() -> None:
    unset, fixed = (replace(DEFAULTS.validate, requests=n) for n in (None, 70))
    assert [n_asked(unset, n) for n in (0, 7_000, 10**9)] == [50_000_000, 7_142, 500]
    assert n_asked(fixed, 7_000) == 70


def test_the_number_of_buckets_does_not_change_the_requests(log: Log, tmp_path: Path) -> None:
    rows = Impressions.joined(log.buckets())
    first, second = (
        requests_of(_log_of(rows, tmp_path / str(n), n), FOLD, DAY, n=15, seed=1) for n in (1, 6)
    )
    for name, column in vars(first).items():
        np.testing.assert_array_equal(column, getattr(second, name))


@pytest.mark.parametrize("n_buckets", [1, 6])
def test_of_a_larger_log_some_users_have_all_of_their_sessions(
    log: Log, n_buckets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Sessions.in_test(log, FOLD, DAY, seed=1)
    most = len(every.rows) // 3
    monkeypatch.setattr(requests, "MOST_ROWS", most)
    large = _log_of(Impressions.joined(log.buckets()), tmp_path, n_buckets)
    some = Sessions.in_test(large, FOLD, DAY, seed=1)
    assert most / 4 < len(some.rows) <= most
    assert (every.share, some.share) in ((1, 0.25), (1, 0.125))
    theirs = np.isin(every.rows.user, some.rows.user)
    assert sorted(tuples(some.rows)) == sorted(tuples(every.rows[theirs]))
    assert set(some.draw.tolist()) == set(every.draw[every.of[theirs]].tolist())
    found, whole = (s.requests(np.ones(len(s), bool))[0] for s in (some, every))
    assert found.user.tolist() == whole.user[np.isin(whole.user, some.rows.user)].tolist()


def test_a_period_without_an_impression_has_no_request(log: Log) -> None:
    empty = requests_of(log, Fold(0, 50 * DAY, 60 * DAY), DAY, n=10, seed=1)
    assert len(empty) == 0
    replayed = _replay([ByNumber()], ByNumber(), empty, 5, 3)
    assert replayed.top.shape == (1, 0, 3)


def test_the_parts_of_workers_are_all_requests(log: Log) -> None:
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1)
    methods = [ByNumber(), Backwards()]
    ours = ByNumber()
    at_once = _replay(methods, ours, found, 9, 3)
    parts = [_replay(methods, ours, found.part(i, 7), 9, 3) for i in range(7)]
    for name, column in vars(ReplayResult.joined(parts)).items():
        np.testing.assert_array_equal(column, getattr(at_once, name), err_msg=name)


def _requests(user: Any, at: Any, offsets: Any, post: Any, liked: Any) -> Requests:
    """Requests of the old feed, which shows all posts alike."""
    columns = (np.array(c) for c in (user, at, offsets, post, liked))
    n = len(post)
    return Requests(*columns, np.ones(n), np.zeros(n, np.uint16), np.ones(n, np.int64))


def _replayed(shown: list[int], liked: list[int], k: int = 3, depth: int = 6) -> ReplayResult:
    one = _requests([0], [5 * DAY], [0, len(shown)], shown, np.isin(shown, liked))
    return _replay([ByNumber(), Backwards()], ByNumber(), one, depth, k)


def test_a_hit_of_shown_is_a_liked_post_among_the_first_of_those_shown() -> None:
    replayed = _replayed(shown=[4, 7, 11, 20, 25], liked=[11])
    assert replayed.of_shown[:, 0].tolist() == [[4, 7, 11], [25, 20, 11]]
    assert replayed.hit_shown[:, 0].tolist() == [[0, 0, 1], [0, 0, 1]]


def test_a_hit_of_the_catalogue_is_a_liked_post_among_the_first_of_all() -> None:
    replayed = _replayed(shown=[1, 7, 29], liked=[1, 29])
    assert replayed.top[:, 0].tolist() == [[0, 1, 2], [29, 28, 27]]
    assert replayed.hit_catalogue[:, 0].tolist() == [[0, 1, 1], [1, 1, 1]]


def _requests_without(barred: list[int], shown: list[int], liked: list[int]) -> ReplayResult:
    one = _requests([0], [5 * DAY], [0, len(shown)], shown, np.isin(shown, liked))
    left = np.setdiff1d(np.arange(N_POSTS), barred)
    ours = ByNumber()

    def open_posts(user: int, at: int, candidates: np.ndarray | None = None) -> np.ndarray:
        return left if candidates is None else candidates[np.isin(candidates, left)]

    return replay_requests([ours, Backwards()], ours, open_posts, one, 6, 3, _near, _unknown)  # type: ignore[arg-type, list-item]


def test_no_method_lists_what_is_barred() -> None:
    replayed = _requests_without(barred=[0, 2, 28], shown=[2, 4, 7, 11, 28], liked=[2, 28])
    assert replayed.top[:, 0].tolist() == [[1, 3, 4], [29, 27, 26]]
    assert replayed.of_shown[:, 0].tolist() == [[4, 7, 11], [11, 7, 4]]
    assert replayed.shown_rank.tolist() == [[-1, 2, 5, -1, -1], [-1, -1, -1, -1, -1]]
    assert replayed.hit_catalogue[:, 0].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("n_open", [0, 1, 2, 3, 4])
def test_lists_as_long_as_the_open_posts_shown_have_no_hit(n_open: int) -> None:
    shown = [1, 2, 3, 4, 5, 6]
    replayed = _requests_without(barred=shown[n_open:], shown=shown, liked=[1])
    for of_method in replayed.hit_shown[:, 0]:
        assert (~np.isnan(of_method)).tolist() == [k < n_open for k in (1, 2, 3)]


@pytest.mark.parametrize("n_shown", [1, 2, 3, 4, 5])
def test_lists_as_long_as_the_posts_shown_have_no_hit(n_shown: int) -> None:
    replayed = _replayed(shown=list(range(n_shown)), liked=[0])
    has_hit = (~np.isnan(replayed.hit_shown[0, 0])).tolist()
    assert has_hit == [k < n_shown for k in (1, 2, 3)]


def test_a_shown_post_has_its_place_in_each_longer_list() -> None:
    replayed = _replayed(shown=[0, 4, 6, 29], liked=[], depth=6)
    assert replayed.shown_rank.tolist() == [[0, 4, -1, -1], [-1, -1, -1, 0]]


def test_a_listed_post_is_supported_if_the_feed_shows_it_near_the_request() -> None:
    one = _requests([0, 0], [5 * DAY, 6 * DAY], [0, 1, 2], [4, 4], [False, False])
    few = ByNumber(n_posts=2)
    replayed = _replay([ByNumber(), few], ByNumber(), one, 6, 3)
    assert replayed.top_supported[0].tolist() == [[True, False, True], [True, True, True]]
    assert replayed.top_supported[1].tolist() == [[True, False, False], [True, True, False]]


def test_a_post_s_impressions_near_the_request_are_counted_without_its_own() -> None:
    replayed = _replayed(shown=[4, 7], liked=[])  # step 5: 15 posts are shown three times each
    np.testing.assert_allclose(replayed.shown_presence, np.log([2.5 / 3, 0.5 / 3]))
    np.testing.assert_allclose(
        replayed.top_presence[:, 0], np.log(np.array([[3.5, 0.5, 3.5], [0.5, 3.5, 0.5]]) / 3)
    )


def test_a_post_s_own_impressions_are_all_left_out_if_it_was_shown_more_than_once() -> None:
    one = _requests([0], [5 * DAY], [0, 2], [4, 6], [False, False])
    twice = replace(one, n_times=np.array([2, 4]))
    replayed = _replay([ByNumber()], ByNumber(), twice, 6, 3)
    np.testing.assert_allclose(replayed.shown_presence, np.log([1.5 / 3, 0.5 / 3]))


def test_impressions_of_a_post_within_a_request_are_counted(log: Log) -> None:
    found = requests_of(log, FOLD, 7 * DAY, n=10**6, seed=1)
    rows = [r for r in tuples(Impressions.joined(log.buckets())) if 5 * DAY <= r[2] < 8 * DAY]
    pairs = Counter((user, at // (7 * DAY), post) for user, post, at, _ in rows)
    user, step = found.user[found.shown_request], found.at[found.shown_request] // (7 * DAY)
    keys = zip(user.tolist(), step.tolist(), found.post.tolist(), strict=True)
    assert found.n_times.tolist() == [pairs[key] for key in keys]
    assert found.n_times.max() > 1
    parts = [found.part(number, 3).n_times for number in range(3)]
    assert np.concatenate(parts).tolist() == found.n_times.tolist()


def test_a_listed_post_is_as_uncertain_as_it_is_at_the_step_of_the_request() -> None:
    one = _requests([0, 0], [5 * DAY, 6 * DAY], [0, 1, 2], [4, 4], [False, False])
    few = _replay([ByNumber(n_posts=2)], ByNumber(), one, 6, 3)
    np.testing.assert_allclose(few.top_spread[0], [[0, 0.05, 0], [0, 0.06, 0]])


def test_every_method_s_posts_have_our_probabilities() -> None:
    replayed = _replayed(shown=[4, 7], liked=[])
    np.testing.assert_allclose(
        replayed.top_probability[:, 0], [[0, 0.01, 0.02], [0.29, 0.28, 0.27]]
    )
    np.testing.assert_allclose(replayed.shown_probability, [0.04, 0.07])


def test_a_list_may_be_shorter_than_asked() -> None:
    few = ByNumber(n_posts=2)
    one = _requests([0], [0], [0, 1], [1], [True])
    replayed = _replay([few], few, one, 6, 3)
    assert replayed.top[0, 0].tolist() == [0, 1, -1]
    assert replayed.top_probability[0, 0].tolist() == [0, 0.01, 0]
    assert replayed.hit_catalogue[0, 0].tolist() == [0, 1, 1]


def test_a_method_may_have_nothing_to_recommend() -> None:
    nothing = ByNumber(n_posts=0)
    one = _requests([0], [0], [0, 1], [1], [True])
    replayed = _replay([nothing], nothing, one, 6, 3)
    assert replayed.top[0, 0].tolist() == [-1, -1, -1]
    assert replayed.shown_rank.tolist() == [[-1]]
    assert replayed.hit_catalogue[0, 0].tolist() == [0, 0, 0]


def test_some_requests_are_as_they_were_among_all(log: Log) -> None:
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1)
    replayed = _replay([ByNumber(), Backwards()], ByNumber(), found, 9, 3)
    kept = np.arange(len(found)) % 3 == 1
    some = replayed.of_requests(kept)
    np.testing.assert_array_equal(some.top, replayed.top[:, kept])
    for i, request in enumerate(np.flatnonzero(kept)):
        was, now = replayed.shown_request == request, some.shown_request == i
        np.testing.assert_array_equal(some.shown_rank[:, now], replayed.shown_rank[:, was])
        np.testing.assert_array_equal(some.shown_liked[now], replayed.shown_liked[was])


def test_a_post_shown_twice_in_a_request_counts_once(tmp_path: Path) -> None:
    at = 6 * DAY
    rows = impressions([(3, 9, at + 5, 0), (3, 9, at + 90, 1), (3, 2, at + 8, 0)])
    found = requests_of(_log_of(rows.sorted(), tmp_path), FOLD, DAY, n=10, seed=1)
    assert found.at.tolist() == [at + 5]
    assert [column.tolist() for column in found.shown(0)] == [[2, 9], [False, True]]


@pytest.mark.parametrize(
    ("n_posts", "at_once"), [(30, 128), (7_000, 128), (30_000, 34), (1_000_000, 16)]
)
def test_the_more_posts_the_fewer_requests_are_answered_together(
    n_posts: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ByNumber()
    monkeypatch.setattr(ByNumber, "catalogue", SimpleNamespace(post_ids=np.arange(n_posts)))
    at = np.repeat([0, DAY, 3 * DAY], [200, 1, 40])
    found = [range(block.start, block.stop) for block in blocks(ours, at)]  # type: ignore[arg-type]
    assert [*itertools.chain.from_iterable(found)] == [*range(len(at))]
    assert max(map(len, found)) == at_once
    assert all(len({*at[[*block]].tolist()}) == 1 for block in found)
