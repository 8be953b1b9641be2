"""Posts that `export.exclude` bars are barred for every method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from feedrank.demo.truth import Truth
from feedrank.log.calendar import Calendar
from feedrank.oracle import true_hit_rates
from feedrank.oracle.limits import informed_lists, oracle_lists
from feedrank.oracle.true_hit_rates import hits_of_lists, share_of_way, true_hits, truth_of
from feedrank.validation.fold import FoldResult, barred_posts, run_fold
from feedrank.validation.methods import FRESH, OURS
from tests.support.simulated_logs import DAY, Learned, saved, simulated, simulated_network, workers

K = 5


def _seen(learned: Learned, rule: str, user: int, until: int) -> set[int]:
    """Posts of the steps before a moment that the rule bars, from the log itself."""
    rows = [b[(b.user == user) & (b.at // DAY < until // DAY)] for b in learned.log.buckets()]
    return {
        post
        for part in rows
        for post, liked in zip(part.post.tolist(), part.liked.tolist(), strict=True)
        if liked or rule == "seen"
    }


def _result(rule: str, state: str, folder: Path) -> FoldResult:
    learned = simulated()
    p, features = learned.params, saved(learned, folder)[0]
    validate = replace(p.validate, requests=60, state=state)
    changed = replace(p, validate=validate, export=replace(p.export, exclude=rule))
    fold = Calendar.of(learned.log.meta, None, None).folds(1)[0]
    with workers(1), threadpool_limits(1):
        return run_fold(learned.log, features, learned.rows, fold, changed)


@pytest.mark.parametrize("rule", ["liked", "seen"])
@pytest.mark.parametrize("state", ["fresh", "aged"])
def test_all_methods_choose_from_the_same_posts(rule: str, state: str, tmp_path: Path) -> None:
    learned = simulated()
    result = _result(rule, state, tmp_path)
    replayed, n_barred_shown = result.replayed, 0
    given = barred_posts([result], learned.store, state, rule)
    for i, (user, at) in enumerate(zip(replayed.user.tolist(), replayed.at.tolist(), strict=True)):
        known_until = at if state == "fresh" else min(at, result.fold.cutoff)
        barred = _seen(learned, rule, user, known_until)
        assert set(given[i].tolist()) == barred
        shown = set(replayed.shown_post[replayed.shown_request == i].tolist())
        n_barred_shown += len(shown & barred)
        for m, name in enumerate(result.names):
            assert not barred & set(replayed.top[m, i].tolist()), name
            assert set(replayed.of_shown[m, i].tolist()) - {-1} <= shown - barred, name
            # A state that knows of more posts that its user has seen bars these too.
            if name != FRESH:
                assert (~np.isnan(replayed.hit_shown[m, i])).tolist() == [
                    k < len(shown - barred) for k in range(1, K + 1)
                ]
                n_listed = int((replayed.of_shown[m, i] >= 0).sum())
                assert n_listed == min(K, len(shown - barred)), name
    assert n_barred_shown > 0


def test_the_limits_of_the_demo_choose_from_the_same_posts(truth: Truth) -> None:
    learned = simulated()
    users, at = np.array([3, 77, 200]), np.array([20, 25, 29]) * DAY + 40_000
    usual = oracle_lists(truth, users, at, 40), informed_lists(truth, learned.log, users, at, 40)
    barred = [np.sort(lists) for lists in usual[0][:, ::2]]
    found = (
        oracle_lists(truth, users, at, 20, barred),
        informed_lists(truth, learned.log, users, at, 20, barred),
    )
    for i in range(len(users)):
        for without, with_all in zip(found, usual, strict=True):
            left = [post for post in with_all[i].tolist() if post not in barred[i]]
            assert without[i].tolist()[: len(left)] == left[:20]
            assert not set(without[i].tolist()) & set(barred[i].tolist())


@pytest.fixture(scope="module")
def without_a_rule(tmp_path_factory: pytest.TempPathFactory) -> FoldResult:
    return _result("nothing", "fresh", tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def truth() -> Truth:
    return simulated_network()[0].truth


def test_the_limits_of_all_requests_are_those_of_each(
    truth: Truth, without_a_rule: FoldResult
) -> None:
    log, result = simulated().log, without_a_rule
    user, at = result.replayed.user, result.replayed.at
    best = oracle_lists(truth, user, at, 3)
    barred = [np.sort(best[i, : i % 4]) for i in range(len(user))]
    hits = true_hits(truth, log, [result], K, barred)
    lists = {
        "informed": informed_lists(truth, log, user, at, K, barred),
        "oracle": oracle_lists(truth, user, at + truth.seconds(log.meta.origin_at), K, barred),
    }
    assert (lists["informed"] != lists["oracle"]).any()
    for name, posts in lists.items():
        expected = hits_of_lists(truth, log, result.replayed, posts)
        np.testing.assert_array_equal(hits[name], expected, name)


def test_limits_are_of_some_requests_and_compared_on_the_same(
    truth: Truth, without_a_rule: FoldResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(true_hit_rates, "LIMIT_REQUESTS", 20)
    log, result = simulated().log, without_a_rule
    truth.save(tmp_path)
    n = len(result.replayed.user)
    apart = n // 20
    assert apart > 1
    barred = [np.arange(i % 4) for i in range(n)]
    params = simulated().params.validate
    found = truth_of(tmp_path, log, [result], params, barred)
    assert found is not None
    every = true_hits(truth, log, [result], params.k[0], barred)
    some = {name: float(hits[::apart].mean()) for name, hits in every.items()}
    limits = ("informed", "oracle")
    for name, hits in every.items():
        expected = some[name] if name in limits else float(hits.mean())
        assert found["true"][name] == pytest.approx(expected, abs=1e-5), name
    assert found["share_of_way"] == pytest.approx(share_of_way(some), abs=1e-5)
    assert found["regret"] == pytest.approx(some["oracle"] - some[OURS], abs=1e-5)


def test_a_limit_with_too_few_posts_leaves_places_empty(
    truth: Truth, without_a_rule: FoldResult
) -> None:
    result = without_a_rule
    barred = [np.arange(2, truth.n_posts)] * len(result.replayed.user)
    hits = true_hits(truth, simulated().log, [result], K, barred)
    two = np.tile([0, 1], (len(result.replayed.user), 1))
    of_two = hits_of_lists(truth, simulated().log, result.replayed, two)
    np.testing.assert_allclose(hits["oracle"], of_two)
    np.testing.assert_allclose(hits["informed"], of_two)
    assert (hits["oracle"] < hits[OURS]).all()
