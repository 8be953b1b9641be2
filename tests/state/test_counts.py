from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.by_user import PairCounts, UserCounts
from feedrank.state.counts.tally import Cells, Tally, cells_of, smallest_uint, sum_of_cells, tally

N_STEPS, N_KEYS, N_USERS, N_POSTS = 9, 6, 3, 5
GROUP = np.array([0, 2, 0, 1, 2])
# (step, key, liked) and (step, user, post, liked)
Events = list[tuple[int, int, int]]
Views = list[tuple[int, int, int, int]]
EVENTS = st.lists(
    st.tuples(st.integers(0, N_STEPS - 1), st.integers(0, N_KEYS - 1), st.integers(0, 1))
)
VIEWS = st.lists(
    st.tuples(
        st.integers(0, N_STEPS - 1),
        st.integers(0, N_USERS - 1),
        st.integers(0, N_POSTS - 1),
        st.integers(0, 1),
    )
).map(sorted)


def _counts(events: Events) -> StepCounts:
    return StepCounts.of((_cells([e for e in events if e[0] == s]) for s in range(N_STEPS)), N_KEYS)


def _cells(events: Events) -> Cells:
    _, key, liked = _columns(events, 3)
    return cells_of(key, liked, N_KEYS)


def _columns(rows: Events | Views, n: int) -> list[np.ndarray]:
    return list(np.array(rows, dtype=np.int64).reshape(-1, n).T)


def _plainly(counted: Tally) -> list[tuple[float, float]]:
    return list(zip(counted.shown.tolist(), counted.liked.tolist(), strict=True))


@given(EVENTS, st.integers(0, N_STEPS), st.integers(0, N_STEPS))
def test_counts_before_a_step_are_those_of_earlier_steps(
    events: Events, step: int, since: int
) -> None:
    since = min(since, step)
    expected = [(0, 0)] * N_KEYS
    for at, key, liked in events:
        if since <= at < step:
            shown, n_liked = expected[key]
            expected[key] = (shown + 1, n_liked + liked)
    assert _plainly(_counts(events).before(step, since)) == expected


@given(EVENTS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_split_and_order_of_rows_gives_the_same_counts(
    events: Events, n_parts: int, random: object
) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    merged = StepCounts.merged([_counts(shuffled[i::n_parts]) for i in range(n_parts)])
    for name, column in vars(_counts(events)).items():
        np.testing.assert_array_equal(getattr(merged, name), column, err_msg=name)
        assert np.asarray(getattr(merged, name)).dtype == np.asarray(column).dtype


@given(EVENTS, EVENTS)
def test_few_rows_and_many_have_the_same_cells(some: Events, others: Events) -> None:
    (_, *rows), (_, *more) = (_columns(events, 3) for events in (some, others))
    for n_keys in (N_KEYS, 10**6):  # counted over all keys, and over those that occur
        found = cells_of(*rows, n_keys)
        assert list(map(list, found)) == list(map(list, tally(*rows, N_KEYS).cells()))
        total = sum_of_cells([found, cells_of(*more, n_keys)], n_keys)
        both = tally(*map(np.concatenate, zip(rows, more, strict=True)), N_KEYS)
        assert list(map(list, total)) == list(map(list, both.cells()))


@pytest.mark.parametrize(
    ("highest", "name"),
    [(0, "uint8"), (255, "uint8"), (256, "uint16"), (65_535, "uint16"), (65_536, "uint32")],
)
def test_the_narrowest_type_holds_the_highest_number(highest: int, name: str) -> None:
    assert smallest_uint(highest).name == name


def test_counts_of_narrow_types_add_up_beyond_them() -> None:
    counts = StepCounts.of([Tally(np.array([200, 0]), np.array([150, 0])).cells()] * 400, 2)
    assert (counts.shown.dtype, counts.liked.dtype) == (np.uint8, np.uint8)
    assert _plainly(counts.before(400)) == [(80_000, 60_000), (0, 0)]
    merged = StepCounts.merged([counts] * 400)
    assert (merged.shown.dtype, merged.liked.dtype) == (np.uint32, np.uint16)
    assert merged.at(0)[1:] == ([80_000], [60_000])


@given(EVENTS)
def test_a_key_s_first_step_is_its_earliest_or_the_end(events: Events) -> None:
    for key, first in enumerate(_counts(events).first_steps().tolist()):
        assert first == min([s for s, k, _ in events if k == key], default=N_STEPS)


def test_counts_come_back_as_they_were_written(tmp_path: Path) -> None:
    counts = _counts([(0, 1, 1), (3, 5, 0), (3, 1, 1)])
    counts.save(tmp_path, "by_post")
    read = StepCounts.load(tmp_path, "by_post", N_KEYS)
    for name, column in vars(counts).items():
        np.testing.assert_array_equal(getattr(read, name), column, err_msg=name)


@given(VIEWS)
def test_a_user_s_counts_are_the_rows_of_that_user_by_cluster(views: Views) -> None:
    counts = UserCounts(N_USERS, {"cluster": (GROUP, 4)})
    for step in range(N_STEPS):
        _, user, post, liked = _columns([v for v in views if v[0] == step], 4)
        counts.update(user, post, liked)
    shown = Counter((user, GROUP[post]) for _, user, post, _ in views)
    n_liked = Counter((user, GROUP[post]) for _, user, post, is_liked in views if is_liked)
    of = counts.of("cluster")
    assert of.shown.shape == (N_USERS, 4)
    for user in range(N_USERS):
        for cluster in range(4):
            found = (of.shown[user, cluster], of.liked[user, cluster])
            assert found == (shown[user, cluster], n_liked[user, cluster])


@given(VIEWS)
def test_learning_all_at_once_is_learning_step_by_step(views: Views) -> None:
    at_once, by_step = (UserCounts(N_USERS, {"cluster": (GROUP, 3)}) for _ in range(2))
    at_once.update(*_columns(views, 4)[1:])
    for view in views:
        by_step.update(*_columns([view], 4)[1:])
    np.testing.assert_array_equal(at_once.of("cluster").shown, by_step.of("cluster").shown)
    np.testing.assert_array_equal(at_once.of("cluster").liked, by_step.of("cluster").liked)


def test_a_group_without_posts_has_a_column() -> None:
    counts = UserCounts(1, {"cluster": (np.array([0, 1, 0]), 5)})
    assert counts.of("cluster").shown.tolist() == [[0, 0, 0, 0, 0]]


@given(VIEWS, st.integers(0, N_STEPS + 3))
def test_a_pair_counts_its_earlier_impressions_only(views: Views, step: int) -> None:
    at, user, post, liked = _columns(views, 4)
    pairs = PairCounts(user, post, at, liked, N_POSTS)
    asked_user, asked_post = (a.ravel() for a in np.mgrid[:N_USERS, :N_POSTS])
    expected = [
        (
            sum(v[:3] == (v[0], u, p) and v[0] < step for v in views),
            sum(v[1:] == (u, p, 1) and v[0] < step for v in views),
        )
        for u, p in zip(asked_user.tolist(), asked_post.tolist(), strict=True)
    ]
    assert _plainly(pairs.before(asked_user, asked_post, step)) == expected
    grid = pairs.before(np.arange(N_USERS)[:, None], np.arange(N_POSTS), step)
    assert _plainly(Tally(grid.shown.ravel(), grid.liked.ravel())) == expected
    of_distinct = {(u, p) for _, u, p, _ in views}
    assert {*zip(*(a.tolist() for a in pairs.distinct), strict=True)} == of_distinct
    assert _plainly(pairs.of_distinct(step)) == _plainly(pairs.before(*pairs.distinct, step))


@given(VIEWS, st.integers(0, N_STEPS + 3), st.sets(st.integers(0, N_USERS - 1), min_size=1))
def test_the_latest_counts_are_those_of_the_last_steps_by_part(
    views: Views, before: int, asked: set[int]
) -> None:
    at, user, post, liked = _columns(views, 4)
    pairs, widths = PairCounts(user, post, at, liked, N_POSTS), [1, 2, 4]
    found = pairs.latest(np.array(sorted(asked)), before, np.array(widths), GROUP, 3)
    for i, j, k in np.ndindex(found.shown.shape):
        rows = [
            v[3]
            for v in views
            if before - widths[i] <= v[0] < before and v[1] == sorted(asked)[j] and GROUP[v[2]] == k
        ]
        assert (found.shown[i, j, k], found.liked[i, j, k]) == (len(rows), sum(rows))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
def test_narrow_columns_do_not_overflow(dtype: type) -> None:
    n = 250
    user, post, step = np.zeros(n, dtype), np.arange(n, dtype=dtype), np.full(n, 200, dtype)
    pairs = PairCounts(user, post, step, np.ones(n, np.uint8), n_posts=60_000)
    assert pairs.before(user, post, 201).shown.tolist() == [1] * n
    assert pairs.before(user, post, 200).shown.tolist() == [0] * n
    latest = partial(pairs.latest, np.array([0]), windows=np.array([1, 300]), part=post % 2)
    assert latest(before=400, n_parts=2).shown.sum(2).tolist() == [[0], [n]]
