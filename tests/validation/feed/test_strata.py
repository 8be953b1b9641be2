from __future__ import annotations

import numpy as np
import pytest

from feedrank.state.history import History
from feedrank.validation.feed.homogeneity import UnitCounts
from feedrank.validation.feed.strata import Strata, groups_of, strata_of

N_USERS, N_POSTS, N_SHOWN = 400, 60, 60
STEPS = range(2, 4)


def _codes(rng: np.random.Generator) -> np.ndarray:
    """Seven ages, two genders, two systems, five cities."""
    return np.stack([rng.integers(0, n, N_USERS) for n in (7, 2, 2, 5)], axis=1)


def _history(taste: np.ndarray, rng: np.random.Generator) -> History:
    """Posts by weights of each kind of user, shape (n_kinds, n_posts); the kind of each user."""
    post = np.concatenate([rng.choice(N_POSTS, N_SHOWN, p=w / w.sum()) for w in taste])
    step = np.sort(rng.integers(0, 4, (N_USERS, N_SHOWN)), axis=1).ravel()
    offsets = np.arange(N_USERS + 1) * N_SHOWN
    return History(offsets, post, step, np.zeros(N_USERS * N_SHOWN // 8, np.uint8))


def _found(kind: np.ndarray, codes: np.ndarray, seed: int) -> Strata:
    """Strata of a feed that shows each kind of user posts of its own three times as often."""
    rng = np.random.default_rng(seed)
    own = np.where(rng.random((int(kind.max()) + 1, N_POSTS)) < 0.5, 3.0, 1.0)
    return strata_of(_history(own[kind], rng), codes, np.arange(N_USERS), STEPS)


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two partitions are equal but for the numbers of their parts."""
    pairs = np.unique(np.stack([first, second], axis=1), axis=0)
    return len(pairs) == len(np.unique(first)) == len(np.unique(second))


@pytest.mark.parametrize("seed", range(3))
def test_strata_are_the_users_who_are_shown_the_same(seed: int) -> None:
    codes = _codes(np.random.default_rng(seed))
    age, gender, system, _ = codes.T
    bands = np.searchsorted([2, 5], age, side="right")
    kinds = {"nobody": 0 * age, "bands": bands, "both": 2 * bands + gender, "pair": gender ^ system}
    columns: dict[str, set[int]] = {"nobody": set(), "bands": {0}, "both": {0, 1}, "pair": {1, 2}}
    for name, kind in kinds.items():
        found = _found(kind, codes, seed)
        assert set(found.columns) == columns[name], name
        assert _same(found.of_user, kind), name


def test_users_without_an_impression_have_a_stratum() -> None:
    codes = _codes(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    own = np.where(rng.random((2, N_POSTS)) < 0.5, 3.0, 1.0)
    some = np.arange(0, N_USERS, 2)
    found = strata_of(_history(own[codes[:, 1]], rng), codes, some, STEPS)
    assert _same(found.of_user, codes[:, 1])
    nobody = strata_of(_history(own[codes[:, 1]], rng), codes, some[:0], STEPS)
    assert nobody.n == 1
    assert not nobody.columns


def test_what_a_user_is_shown_again_and_again_makes_no_stratum() -> None:
    rng = np.random.default_rng(2)
    own = np.where(rng.random((N_USERS, N_POSTS)) < 0.1, 30.0, 1.0)
    found = strata_of(_history(own, rng), _codes(rng), np.arange(N_USERS), STEPS)
    assert not found.columns


def test_shown_counts_every_impression_of_the_steps() -> None:
    rng = np.random.default_rng(3)
    history, stratum = _history(np.ones((N_USERS, N_POSTS)), rng), rng.integers(0, 3, N_USERS)
    user, post, step, _ = history.columns()
    found = Strata(stratum, (), np.zeros(0, np.int64)).shown(history, N_POSTS, 1, 3)
    expected = np.zeros((3, N_POSTS), int)
    kept = (step >= 1) & (step < 3)
    np.add.at(expected, (stratum[user[kept]], post[kept]), 1)
    assert np.array_equal(found, expected)


def test_empty_units_are_of_the_first_group() -> None:
    shown = np.array([[90.0, 10.0], [0, 0], [10, 90], [88, 12]])
    counts = UnitCounts(shown, shown.sum(1), shown.sum(1))  # sessions of one impression
    assert groups_of(counts).tolist() == [0, 0, 1, 0]


def test_users_who_are_left_out_have_a_stratum_but_their_impressions_no_count() -> None:
    rng = np.random.default_rng(4)
    own = np.where(rng.random((2, N_POSTS)) < 0.5, 3.0, 1.0)
    codes = _codes(rng)
    history, some = _history(own[codes[:, 1]], rng), np.arange(0, N_USERS, 4)
    every = strata_of(history, codes, np.arange(N_USERS), STEPS)
    found = strata_of(history, codes, np.arange(N_USERS), STEPS, some)
    assert _same(found.of_user, codes[:, 1])
    shown, left = (x.shown(history, N_POSTS, 0, 4) for x in (every, found))
    assert shown.sum() == N_USERS * N_SHOWN
    assert left.sum() == (N_USERS - len(some)) * N_SHOWN
    assert (left <= shown).all()
