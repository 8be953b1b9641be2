"""Nothing that happens in a step, or after it, changes any state before it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedrank.features.rows import TrainingRows
from feedrank.log.calendar import Calendar, Fold
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.training.plan import Plan
from feedrank.validation import fold as folding
from feedrank.validation import methods
from feedrank.validation.baselines.most_liked import MostLiked
from tests.support.scratch import scratch
from tests.support.simulated_logs import (
    DAY,
    Learned,
    divided,
    learned,
    named,
    plugged,
    recommender_of,
    saved,
    simulated,
    tasteful,
    workers,
    write_log,
)

CUTOFF = 20 * DAY + 40_000  # within a day, so that the step it falls into is tested too
STEPS = ("1h", "1d", "7d")


@pytest.fixture(params=[*STEPS, "1d, tastes", "1d, names", "1d, sides", "1d, plugin", "1h, plugin"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def usual(kind: str) -> Learned:
    return _usual(kind)


def _usual(kind: str) -> Learned:
    step, _, name = kind.partition(", ")
    kinds = {"": simulated, "tastes": tasteful, "names": named, "sides": divided, "plugin": plugged}
    return kinds[name](step)


@cache
def _flipped_later(kind: str) -> tuple[FeatureStore, TrainingRows]:
    """What is learned of the usual log if all labels from the cutoff on are the other way."""
    usual = _usual(kind)
    rows = _all_rows(usual.log)
    return _with(usual, scratch() / f"flipped-{kind}", _flipped(rows, rows.at >= CUTOFF))


def _first_change(usual: Learned) -> int:
    """The step after the cutoff's own: every earlier state is from before the cutoff."""
    seconds = usual.params.features.step_seconds
    return (CUTOFF // seconds + 1) * seconds


def _all_rows(log: Log) -> Impressions:
    return Impressions.joined(log.buckets())


def _with(usual: Learned, directory: Path, rows: Impressions) -> tuple[FeatureStore, TrainingRows]:
    log = write_log(directory, usual.log.users, usual.log.posts, rows, origin=usual.log.meta.origin)
    return learned(log, usual.params)


def _flipped(rows: Impressions, flip: np.ndarray) -> Impressions:
    return Impressions(rows.user, rows.post, rows.at, np.where(flip, 1 - rows.liked, rows.liked))


def _later_than(log: Log, at: int, n: int) -> Impressions:
    rng = np.random.default_rng(2)
    user = rng.integers(0, log.meta.n_users, n).astype(np.uint32)
    post = rng.integers(0, log.meta.n_posts, n).astype(np.uint32)
    moments = rng.integers(at, log.meta.last_at + 9 * DAY, n).astype(np.uint32)
    return Impressions(user, post, moments, rng.integers(0, 2, n).astype(np.uint8))


def _asked(recommender: Recommender, until: int) -> list[bytes]:
    """Matrices and lists of many users and moments before `until`."""
    rng = np.random.default_rng(4)
    answers = []
    for user in rng.integers(0, 300, 40).tolist():
        at = int(rng.integers(-DAY, until))
        posts = rng.integers(0, 250, 30)
        ranked = recommender.rank(user, at, 5)
        answers += [
            recommender.matrix(user, at, posts).tobytes(),
            ranked.post.tobytes(),
            ranked.probability.tobytes(),
        ]
    return answers


def _same_before(usual: Learned, changed: tuple[FeatureStore, TrainingRows], until: int) -> None:
    """Fitted parameters, training rows and lists before a moment are equal to the last bit."""
    store, rows = changed
    refits = zip(usual.store.fitted.refits, store.fitted.refits, strict=False)
    seconds = store.fitted.step_seconds
    earlier = [pair for pair in refits if pair[0].first_step * seconds < until]
    assert earlier
    for of_usual_refit, of_changed_refit in earlier:
        assert of_usual_refit.strengths == of_changed_refit.strengths
        names = ("log_gate", "rate", "cluster", "quality_strength", "taste_strength")
        for name in (*names, "text_quality", "quality_of_text"):
            first, second = (getattr(e.clusters, name) for e in (of_usual_refit, of_changed_refit))
            np.testing.assert_array_equal(first, second, err_msg=name)
        for name in ("post", "rate"):
            first, second = (getattr(e.factors, name) for e in (of_usual_refit, of_changed_refit))
            np.testing.assert_array_equal(first, second, err_msg=name)
    for first, second in zip(usual.store.fitted.encoded, store.fitted.encoded, strict=True):
        np.testing.assert_array_equal(first, second)
    before, after = (r[np.flatnonzero(r.at < until)] for r in (usual.rows, rows))
    of_usual, of_changed = _intersection(before, after)
    assert len(of_usual) > 0.9 * len(before)
    assert before.matrix[of_usual].tobytes() == after.matrix[of_changed].tobytes()
    recommender = recommender_of(usual, store)
    assert _asked(recommender, until) == _asked(usual.recommender, until)


def _intersection(a: TrainingRows, b: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
    """Places of the rows that both hold, in each."""

    def keys(rows: TrainingRows) -> np.ndarray:
        user, post, at = (of.astype(np.uint64) for of in (rows.user, rows.post, rows.at))
        return user << 48 | post << 32 | at

    _, of_a, of_b = np.intersect1d(keys(a), keys(b), return_indices=True)
    return of_a, of_b


def test_flipped_labels_change_nothing_before_their_step(kind: str) -> None:
    usual = _usual(kind)
    _same_before(usual, _flipped_later(kind), _first_change(usual))


def test_segments_that_are_found_later_change_nothing_before(tmp_path: Path) -> None:
    usual, of_sides = divided(), 9 * DAY
    rows = _all_rows(usual.log)
    dealt = rows.liked[np.random.default_rng(8).permutation(len(rows))]
    never = replace(rows, liked=np.where(rows.at >= of_sides, dealt, rows.liked))
    store, found = _with(usual, tmp_path, never)
    assert store.fitted.segment_column == -1 != usual.store.fitted.segment_column
    _same_before(usual, (store, found), of_sides)


def test_flipped_labels_do_change_what_is_known_after_their_step() -> None:
    usual = simulated()
    store, _ = _flipped_later("1d")
    recommender = recommender_of(usual, store)
    posts = np.arange(250)
    for user in (0, 99, 200):
        later = _first_change(usual)
        assert not np.array_equal(
            recommender.matrix(user, later, posts), usual.recommender.matrix(user, later, posts)
        )


def test_later_rows_change_nothing_before_their_step(usual: Learned, tmp_path: Path) -> None:
    rows = Impressions.joined([_all_rows(usual.log), _later_than(usual.log, CUTOFF, 3000)])
    _same_before(usual, _with(usual, tmp_path, rows), _first_change(usual))


def test_a_log_that_ends_at_a_moment_knows_the_same_before_it(
    usual: Learned, tmp_path: Path
) -> None:
    rows = _all_rows(usual.log)
    _same_before(usual, _with(usual, tmp_path, rows[rows.at < CUTOFF]), CUTOFF)


def test_a_row_does_not_feel_its_own_label(tmp_path: Path) -> None:
    usual = simulated()
    rows = _all_rows(usual.log)
    late = np.flatnonzero(rows.at > 10 * DAY)
    one = np.zeros(len(rows), dtype=bool)
    one[late[len(late) // 3]] = True
    user, at = int(rows.user[one][0]), int(rows.at[one][0])
    _, changed = _with(usual, tmp_path, _flipped(rows, one))
    same_step = changed.at // DAY <= at // DAY
    assert changed.matrix[same_step].tobytes() == usual.rows.matrix[same_step].tobytes()
    assert np.sum(changed.liked != usual.rows.liked) == 1
    later_of_user = (changed.user == user) & ~same_step
    assert not np.array_equal(
        changed.matrix[later_of_user], usual.rows.matrix[later_of_user], equal_nan=True
    )


def test_what_is_learned_once_depends_on_the_warm_up_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = simulated()
    features = replace(usual.params.features, refits=1)
    usual = replace(usual, params=replace(usual.params, features=features))
    warmup = usual.params.features.warmup_days or 0
    monkeypatch.setattr(
        "feedrank.learning.warmup.SAMPLED_ROWS", 700
    )  # fewer than the warm-up holds
    rows = _all_rows(usual.log)
    late = rows.at >= warmup * DAY
    more = Impressions.joined([rows, _later_than(usual.log, warmup * DAY, 9000)])
    less = rows[~late | (rows.at % 3 > 0)]
    found = []
    for i, changed in enumerate((rows, _flipped(rows, late), more, less)):
        store, _ = _with(usual, tmp_path / f"log-{i}", changed)
        (tmp_path / str(i)).mkdir()
        store.fitted.save(tmp_path / str(i))
        found.append({p.name: p.read_bytes() for p in (tmp_path / str(i)).iterdir()})
    assert found[0] == found[1] == found[2] == found[3]


def test_an_aged_recommender_never_looks_past_its_cutoff(tmp_path: Path) -> None:
    usual = simulated()
    cutoff = 20 * DAY
    rows = _all_rows(usual.log)
    store, _ = _with(usual, tmp_path, _flipped(rows, rows.at >= cutoff))
    aged, changed = (recommender_of(usual, k, cutoff) for k in (usual.store, store))
    assert _asked(aged, 40 * DAY) == _asked(changed, 40 * DAY)
    posts = np.arange(250)
    fresh = usual.recommender.matrix(7, 28 * DAY, posts)
    assert not np.array_equal(aged.matrix(7, 28 * DAY, posts), fresh, equal_nan=True)


def test_a_fold_s_models_never_see_a_row_from_the_cutoff_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = simulated()
    features, _ = saved(usual, tmp_path)
    fold = Calendar.of(usual.log.meta, None, None).folds(2)[0]
    fitted_at = []

    def plan(rows: TrainingRows, until: int, *rest: Any) -> Plan:
        planned = make_plan(rows, until, *rest)
        fitted_at.append(planned.rows.at)
        return planned

    make_plan = Plan.of
    classic = methods.Classic.fit.__func__  # type: ignore[attr-defined]

    def fit_classic(cls: type, store: FeatureStore, rows: TrainingRows, seed: int) -> object:
        fitted_at.append(rows.at)
        return classic(cls, store, rows, seed)

    monkeypatch.setattr(Plan, "of", plan)
    monkeypatch.setattr(methods.Classic, "fit", classmethod(fit_classic))
    result = _run_fold(usual, features, fold)
    assert len(fitted_at) == 2
    for at in fitted_at:
        assert fold.since <= at.min() <= at.max() < fold.cutoff
        assert np.sum(usual.rows.at < fold.cutoff) == len(at)
    assert ((result.replayed.at >= fold.cutoff) & (result.replayed.at < fold.until)).all()
    n_later = np.sum((usual.rows.at >= fold.cutoff) & (usual.rows.at < fold.until))
    assert len(result.liked) == n_later


def _run_fold(usual: Learned, features: Path, fold: Fold) -> folding.FoldResult:
    p = usual.params
    with workers(1):
        return folding.run_fold(usual.log, features, usual.rows, fold, p)


def _most_liked(store: FeatureStore, as_of: int | None, moments: range) -> list[bytes]:
    """Lists of the baselines that count, of some users at some moments."""
    baselines = [MostLiked(store, by_segment, as_of) for by_segment in (False, True)]
    user, at = (of.ravel() for of in np.meshgrid([3, 99], moments))
    every = [np.arange(len(store.catalogue.post_ids))] * len(user)
    return [ranked.post.tobytes() for b in baselines for ranked in b.rank_many(user, at, 20, every)]


def test_baselines_that_count_never_see_the_step_of_their_request(kind: str) -> None:
    usual, (store, _) = _usual(kind), _flipped_later(kind)
    known_until, seconds = _first_change(usual), usual.params.features.step_seconds
    # Up to the last moment of the very step that the first flipped label falls into.
    before = range(known_until - 1, known_until - 4 * DAY, -7_000)
    after = range(known_until, known_until + 2 * seconds, seconds)
    for as_of, is_known in ((None, True), (CUTOFF, False)):
        first, second = (_most_liked(k, as_of, before) for k in (usual.store, store))
        assert first == second
        first, second = (_most_liked(k, as_of, after) for k in (usual.store, store))
        assert (first != second) is is_known


@pytest.fixture(scope="module")
def otherwise_tested(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """What is learned of the usual log if all labels of the only fold are the other way."""
    usual = simulated()
    (fold,), rows = Calendar.of(usual.log.meta, None, None).folds(1), _all_rows(usual.log)
    directory = tmp_path_factory.mktemp("otherwise") / "log"
    return _with(usual, directory, _flipped(rows, rows.at >= fold.cutoff))[0]


@pytest.mark.parametrize("state", ["fresh", "aged"])
def test_a_fold_s_baselines_know_as_much_as_its_headline(
    otherwise_tested: FeatureStore, state: str, tmp_path: Path
) -> None:
    usual = simulated()
    validate = replace(usual.params.validate, state=state, requests=100)
    params = replace(usual.params, validate=validate)
    usual = replace(usual, params=params)
    fold = Calendar.of(usual.log.meta, None, None).folds(1)[0]
    results = []
    for name, changed_store in (("usual", usual.store), ("changed", otherwise_tested)):
        features, _ = saved(replace(usual, store=changed_store), tmp_path / name)
        results.append(_run_fold(usual, features, fold))
    later = results[0].replayed.at >= fold.cutoff + DAY
    assert 0 < later.sum() < len(later)
    for method in ("most_liked", "most_liked_by_segment"):
        first, second = (r.replayed.top[r.names.index(method)] for r in results)
        np.testing.assert_array_equal(first[~later], second[~later])
        assert np.array_equal(first[later], second[later]) is (state == "aged")
