"""Matches of other requests: found without replaying them, and the same as a replay's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from feedrank.log.calendar import Calendar
from feedrank.validation.fold import run_fold
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import AGED, OURS, FoldModels
from feedrank.validation.replay.matches import ListShares, Matches
from feedrank.validation.replay.period import PeriodRequests, chosen, requests_in
from feedrank.validation.replay.replay import ReplayResult
from tests.support.simulated_logs import DAY, saved, simulated, workers

K, FEW = 5, 50


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer of them than are left."""
    monkeypatch.setattr("feedrank.validation.replay.period.OTHERS", 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> FoldModels:
    learned = simulated()
    features = saved(learned, tmp_path_factory.mktemp("models"))[0]
    few = replace(learned.params, validate=replace(learned.params.validate, requests=FEW))
    fold = Calendar.of(learned.log.meta, None, None).folds(1)[0]
    return FoldModels.fit(features, learned.rows, fold, few)


@pytest.fixture(scope="module")
def period(models: FoldModels) -> PeriodRequests:
    ours = models.ours
    return requests_in(simulated().log, ours.store, ours.fold, ours.params.validate)


@pytest.fixture(scope="module")
def replayed(models: FoldModels, period: PeriodRequests) -> ReplayResult:
    return models.ours.replay(models.methods, period.requests)


def _shares(replayed: ReplayResult, models: FoldModels) -> ListShares:
    store = models.ours.store
    segment = store.fitted.segment(store.catalogue.codes)
    return ListShares.of(replayed, models.matched, segment, DAY, len(store.catalogue.post_ids))


def test_matches_are_those_that_a_replay_finds(
    models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    requests, asked = period.others(_shares(replayed, models))
    found = models.matches(requests, asked)
    whole = models.ours.replay(models.methods, requests)
    every = np.zeros((len(models.names), len(requests)), bool)
    every[models.matched] = asked
    method, row = np.nonzero(every[:, whole.shown_request] & (whole.shown_rank >= 0))
    order = np.lexsort((found.place, found.user, found.method))
    user, place = whole.user[whole.shown_request[row]], whole.shown_rank[method, row]
    row, method = (x[np.lexsort((place, user, method))] for x in (row, method))
    of = whole.shown_request[row]
    assert 0 < asked.mean() < 0.9
    assert len(found) > 50
    assert set(found.method.tolist()) >= {models.names.index(n) for n in (OURS, "most_liked")}
    assert not {models.names.index(n) for n in (AGED, "random")} & {*found.method.tolist()}
    np.testing.assert_array_equal(found.method[order], method)
    np.testing.assert_array_equal(found.user[order], whole.user[of])
    np.testing.assert_array_equal(found.place[order], whole.shown_rank[method, row])
    np.testing.assert_array_equal(found.probability[order], whole.shown_probability[row])
    np.testing.assert_array_equal(found.liked[order], whole.shown_liked[row])
    np.testing.assert_array_equal(found.propensity[order], whole.shown_propensity[row])
    np.testing.assert_array_equal(found.presence[order], whole.shown_presence[row])
    p = whole.shown_probability.astype(np.float64)
    mean = np.bincount(whole.shown_request, np.log(p / (1 - p))) / np.bincount(whole.shown_request)
    np.testing.assert_allclose(found.of_request[order], mean[of], rtol=1e-6)


def test_chances_are_of_the_lists_of_each_method_alone() -> None:
    # One step and segment, two lists a method: posts 1 and 2 by the first, 3 and 4 by the second.
    held = [(np.array([1, 2]), np.array([2, 2])), (np.array([3, 4]), np.array([2, 1]))]
    shares = ListShares(held, np.array([[2]]), np.zeros(9, np.int64), 0, n_posts=6)
    post = np.array([1, 3, 5, 4])
    found = shares.chances(np.arange(4), np.zeros(4, np.int64), np.arange(4), post)
    assert found.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0.5]]


def test_no_request_is_both_replayed_and_looked_at(
    models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    requests, asked = period.others(_shares(replayed, models))
    both = {*zip(requests.user.tolist(), requests.at.tolist(), strict=True)}
    assert (asked.any(axis=0)).all()
    assert not both & {*zip(replayed.user.tolist(), replayed.at.tolist(), strict=True)}


def test_each_method_ranks_as_large_a_share_of_each_length_those_of_the_best_chances(
    models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    shares, sessions = _shares(replayed, models), period.sessions
    requests, asked = period.others(shares)
    chances = shares.chances(sessions.user, sessions.step, sessions.of, sessions.rows.post)
    length, left = np.bincount(sessions.of), ~period.is_drawn
    n_kinds = n_partly = 0
    for own, chance in zip(asked, chances, strict=True):
        of_own = zip(requests.user[own].tolist(), (requests.at[own] // DAY).tolist(), strict=True)
        found = {*of_own}
        each = zip(sessions.user.tolist(), sessions.step.tolist(), strict=True)
        is_ranked = np.array([pair in found for pair in each])
        assert not is_ranked[~left].any()
        for step, size in {*zip(sessions.step[left].tolist(), length[left].tolist(), strict=True)}:
            alike = left & (sessions.step == step) & (length == size)
            of_step = sessions.step == step
            n = (of_step & ~left).sum() / (of_step & left).sum() * alike.sum()
            assert min(np.floor(n), alike.sum()) <= is_ranked[alike].sum() <= np.ceil(n)
            rank = np.lexsort((sessions.draw[alike], -chance[alike]))
            assert (np.diff(is_ranked[alike][rank].astype(int)) <= 0).all()
            n_kinds, n_partly = n_kinds + 1, n_partly + (len({*is_ranked[alike]}) == 2)
    assert n_partly > n_kinds / 4
    assert len({*map(tuple, asked.tolist())}) > 2


def test_of_lengths_that_few_have_a_share_is_chosen_by_lot() -> None:
    # A step of three requests, of 1 to 3 impressions, the one of the lowest draw replayed.
    rng, n = np.random.default_rng(5), 2_000
    step, length = np.repeat(np.arange(n), 3), np.tile([1, 2, 3], n)
    draw, chances = rng.random(3 * n), rng.random((1, 3 * n))
    is_drawn = draw == np.repeat(draw.reshape(n, 3).min(axis=1), 3)
    (asked,) = chosen(chances, step, length, draw, is_drawn)
    for size in (1, 2, 3):
        own = ~is_drawn & (length == size)
        assert asked[own].mean() == pytest.approx(0.5, abs=0.05)
    assert not asked[is_drawn].any()


def test_more_others_are_those_and_more(
    models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    def pairs(most: int) -> list[set[tuple[int, int]]]:
        with mock.patch("feedrank.validation.replay.period.OTHERS", most):
            found, asked = period.others(_shares(replayed, models))
        each = np.array([*zip(found.user.tolist(), found.at.tolist(), strict=True)])
        return [{*map(tuple, each[own].tolist())} for own in asked]

    one, again, two = pairs(1), pairs(1), pairs(2)
    assert one == again
    assert all(first < second for first, second in zip(one, two, strict=True))


def test_likes_have_no_part_in_which_requests_are_looked_at(
    models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    shares, rows = _shares(replayed, models), period.sessions.rows
    other = replace(rows, liked=1 - rows.liked)
    unlike = replace(period, sessions=replace(period.sessions, rows=other))
    (one, asked), (two, also_asked) = (p.others(shares) for p in (period, unlike))
    np.testing.assert_array_equal(one.user, two.user)
    np.testing.assert_array_equal(one.post, two.post)
    np.testing.assert_array_equal(asked, also_asked)
    assert (one.liked != two.liked).all()


def test_lists_of_later_steps_have_no_part_in_which_requests_are_looked_at(
    models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    day = replayed.at // DAY
    cut = int(np.median(day))
    later = replace(replayed, top=np.where((day > cut)[:, None], 0, replayed.top))
    pairs = (period.others(_shares(one, models))[0] for one in (replayed, later))
    first, second = ({*zip(r.user.tolist(), r.at.tolist(), strict=True)} for r in pairs)
    known = {pair for pair in first if pair[1] // DAY <= cut}
    assert known
    assert known == {pair for pair in second if pair[1] // DAY <= cut}


def test_chances_are_of_the_lists_of_the_request_s_step_and_segment(
    replayed: ReplayResult,
) -> None:
    # One method; lists of two posts: of user 0 (segment 0) and of user 2 (segment 1), on day 0.
    lists = replace(
        replayed,
        user=np.array([0] * 100 + [2]),
        at=np.zeros(101, np.int64),
        top=np.array([[[3, 4]] + [[3, 5]] * 49 + [[5, 6]] * 50 + [[4, -1]]]),
    )
    shares = ListShares.of(lists, [0], np.array([0, 0, 1]), DAY, n_posts=7)
    # Half of the first lists hold post 3, one in a hundred post 4; all of the second segment do.
    posts = {0: (1, 0, 3), 1: (1, 0, 4), 2: (2, 0, 4), 3: (2, 0, 3), 4: (1, 1, 3)}
    user, step, post = (np.array(column) for column in zip(*posts.values(), strict=True))
    found = shares.chances(user, step, np.arange(5), post)
    assert found.tolist() == [[0.5, 0.01, 1, 0, 0]]
    twice = shares.chances(user[:1], step[:1], np.zeros(3, np.int64), np.array([3, 4, 3]))
    assert twice.tolist() == [[0.51]]


def test_a_fold_has_the_matches_of_its_others(
    tmp_path: Path, models: FoldModels, period: PeriodRequests, replayed: ReplayResult
) -> None:
    learned, ours = simulated(), models.ours
    features = saved(learned, tmp_path)[0]
    with workers(1), threadpool_limits(1):
        others = run_fold(learned.log, features, learned.rows, ours.fold, ours.params).others
    found = models.matches(*period.others(_shares(replayed, models)))

    def rows(matches: Matches) -> list[tuple[float, ...]]:
        columns = (matches.method, matches.user, matches.place, matches.liked)
        return sorted(zip(*(column.tolist() for column in columns), strict=True))

    assert rows(others) == rows(found)


def test_a_fold_that_replays_all_requests_has_no_others(tmp_path: Path) -> None:
    learned = simulated()
    features = saved(learned, tmp_path)[0]
    fold = Calendar.of(learned.log.meta, None, None).folds(1)[0]
    validate = replace(learned.params.validate, requests=FEW)
    few = replace(learned.params, validate=validate)
    with workers(1), threadpool_limits(1):
        some = run_fold(learned.log, features, learned.rows, fold, few)
        every = run_fold(learned.log, features, learned.rows, fold, learned.params)
    assert len(every.others) == 0
    assert len(some.others) > 0

    alone, with_others = (
        score(some.replayed, some.names, K, validate, None, *more).methods
        for more in ((), (some.others,))
    )
    for m, name in enumerate(some.names):
        shifts = [methods[name].detail.shift for methods in (alone, with_others)]
        found = shifts[1].n_matching - shifts[0].n_matching
        assert found == np.count_nonzero(some.others.method == m), name
        assert (shifts[1].value != shifts[0].value) == (found > 0), name
