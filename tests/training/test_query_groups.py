"""Rows by request, and how likely their order is."""

from __future__ import annotations

import numpy as np
import pytest

from feedrank.training.query_groups import SITTING, QueryGroups


def _groups(rows: list[tuple[int, int, int]]) -> list[list[int]]:
    """Rows of each request, of rows (user, at, liked)."""
    user, at, liked = np.array(rows).T
    groups = QueryGroups.of(user, at, liked)
    return [part.tolist() for part in np.split(groups.row, groups.start[1:])]


def test_rows_of_one_user_and_moment_are_a_request_where_most_share_theirs() -> None:
    rows = [(1, 5, 1), (1, 5, 0), (2, 5, 0), (2, 5, 1), (1, 9, 0), (1, 9, 1)]
    assert _groups(rows) == [[0, 1], [4, 5], [2, 3]]


def test_else_a_request_is_a_sitting_that_a_long_gap_ends() -> None:
    rows = [(1, 10, 0), (1, 40, 1), (1, 40 + SITTING, 0), (1, 41 + 2 * SITTING, 1),
            (1, 50 + 2 * SITTING, 0)]  # fmt: skip
    assert _groups(rows) == [[0, 1, 2], [3, 4]]


def test_a_sitting_ends_with_its_step_whose_likes_the_next_one_knows() -> None:
    user, liked = np.zeros(6, int), np.array([1, 0, 0, 0, 1, 0])
    at = 890 + np.array([0, 4, 8, 12, 16, 20])  # steps of 900 seconds: three rows on each side
    groups = QueryGroups.of(user, at, liked, 900)
    assert groups.start.tolist() == [0, 3]
    assert QueryGroups.of(user, at, liked).start.tolist() == [0]


def test_rows_that_are_mostly_alone_tell_no_order() -> None:
    rows = [(1, 10, 0), (1, 40, 1), (2, 10, 1), (3, 10, 0), (4, 10, 1)]
    assert _groups(rows) == [[]]
    assert not len(QueryGroups.of(*np.array(rows).T))


def test_a_request_tells_nothing_if_all_or_none_is_liked() -> None:
    rows = [(1, 5, 1), (1, 5, 1), (2, 5, 0), (2, 5, 0), (3, 5, 0), (3, 5, 1)]
    assert _groups(rows) == [[4, 5]]


def test_the_loss_is_the_mean_surprise_at_the_liked_rows() -> None:
    groups = QueryGroups.of(np.zeros(4, int), np.zeros(4, int), np.array([1, 0, 1, 0]))
    score = np.array([0.3, -1.0, 2.0, 0.5])
    chance = np.exp(score) / np.exp(score).sum()
    assert groups.loss(score) == pytest.approx([-np.log(chance[[0, 2]]).mean()])
    assert groups.loss(score + 7) == pytest.approx(groups.loss(score))


def test_a_loss_of_sittings_is_less_only_beyond_what_users_scatter() -> None:
    n = 200
    user, liked = np.repeat(np.arange(n), 2), np.tile([1, 0], n)
    noise = np.random.default_rng(4).normal(size=n)
    noise -= noise.mean()
    lists, sittings = (QueryGroups.of(user, np.tile([0, later], n), liked) for later in (0, 60))
    assert lists.is_less(np.zeros(n), noise + 0.03)
    assert not lists.is_less(np.zeros(n), noise - 0.03)
    assert sittings.is_less(np.zeros(n), noise + 0.18)  # 2.5 standard errors
    assert not sittings.is_less(np.zeros(n), noise + 0.11)  # 1.5


def test_thinned_requests_stay_whole() -> None:
    user, n = np.repeat(np.arange(100), 2), 100
    groups = QueryGroups.of(user, np.zeros(2 * n, int), np.tile([1, 0], n))
    few = groups.thinned(20)
    assert len(few) == 10
    assert len(few.row) == 20
    assert (user[few.row].reshape(-1, 2) == user[few.row][::2, None]).all()
    assert few.n_liked.tolist() == [1.0] * 10
