from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.state.history import History, InteractionSample
from tests.support.simulated_logs import DAY, simulated, tuples

N_USERS = 4
# (step, user, post, liked)
VIEWS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, N_USERS - 1), st.integers(0, 9), st.integers(0, 1)),
    max_size=60,
)


def _history(views: list[tuple[int, int, int, int]]) -> History:
    ordered = sorted(views, key=lambda v: (v[1], v[0]))
    step, user, post, liked = np.array(ordered, dtype=np.int64).reshape(-1, 4).T
    per_user = np.bincount(user, minlength=N_USERS)
    return History(
        np.concatenate([[0], np.cumsum(per_user)]),
        post.astype(np.uint16),
        step.astype(np.uint8),
        np.packbits(liked.astype(np.uint8)),
    )


@given(VIEWS, st.integers(0, N_USERS - 1), st.one_of(st.integers(0, 8), st.just(10_000)))
def test_a_user_s_history_is_its_own_earlier_impressions(
    views: list[tuple[int, int, int, int]], user: int, step: int
) -> None:
    post, at, liked = _history(views).before(user, step)
    found = list(zip(at.tolist(), post.tolist(), liked.tolist(), strict=True))
    own = [(s, p, like) for s, u, p, like in views if u == user and s < step]
    assert sorted(found) == sorted(own)
    assert at.tolist() == sorted(at.tolist())


def test_the_history_of_a_log_is_its_rows() -> None:
    learned = simulated()
    history, rows = learned.store.history, tuples(learned.log.bucket(1))
    for user in (150, 222, 299):
        post, step, liked = history.before(user, 20)
        expected = [(p, at // DAY, like) for u, p, at, like in rows if u == user and at < 20 * DAY]
        assert list(zip(post.tolist(), step.tolist(), liked.tolist(), strict=True)) == expected


def test_history_comes_back_as_it_was_written(tmp_path: Path) -> None:
    history = _history([(1, 0, 3, 1), (2, 0, 4, 0), (0, 3, 9, 1)])
    history.save(tmp_path)
    read = History.load(tmp_path)
    for user in range(N_USERS):
        for first, second in zip(read.before(user, 9), history.before(user, 9), strict=True):
            assert first.tolist() == second.tolist()


@given(VIEWS, st.integers(0, 8), st.sampled_from([1, 5, 1000]), st.sampled_from([2, 9]))
def test_some_users_are_whole_ones_spread_evenly(
    views: list[tuple[int, int, int, int]], step: int, most: int, most_users: int
) -> None:
    history = _history(views)
    users = history.spread_users(step, most, most_users)
    sample = InteractionSample.of(history, users, np.zeros_like(users), step)
    n_before = sum(1 for s, *_ in views if s < step)
    every = range(0, N_USERS, max(1, -(-n_before // most), -(-N_USERS // most_users)))
    assert users.tolist() == [u for u in every if any(s < step for s, v, *_ in views if v == u)]
    found = zip(
        users[sample.user].tolist(), sample.post.tolist(), sample.liked.tolist(), strict=True
    )
    own = [(u, p, bool(like)) for s, u, p, like in views if u in users and s < step]
    assert sorted(found) == sorted(own)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in memory")
def test_a_sample_of_users_leaves_no_history_in_memory(tmp_path: Path) -> None:
    n_users, n_shown = 20_000, 400
    n = n_users * n_shown
    columns = (np.zeros(n, np.uint16), np.zeros(n, np.uint8), np.zeros(n // 8, np.uint8))
    History(np.arange(n_users + 1) * n_shown, *columns).save(tmp_path)
    history = History.load(tmp_path)
    users = history.spread_users(1, n // 10, n_users)
    sample = InteractionSample.of(history, users, np.zeros_like(users), 1)
    assert len(sample) == n // 10
    mapped = psutil.Process().memory_maps()
    (in_memory,) = (m.rss for m in mapped if m.path == str(tmp_path / "history_post.npy"))
    assert in_memory < history.post.nbytes // 10
