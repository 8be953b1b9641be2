"""Rows beyond `engine.held_rows` stay in files, and trees grow from there."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from feedrank.errors import SchemaError
from feedrank.features.feature import Feature
from feedrank.features.row_files import SHARES, StoredRows, load_rows, store_rows
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import url_of
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.stats.classification import log_loss
from feedrank.training import fit
from feedrank.training.external_memory import grow_external
from feedrank.training.fit import fit_ranker
from feedrank.training.plan import Plan
from feedrank.validation.fold import run_fold
from tests.support.simulated_logs import DEFAULTS, params, saved, simulated, workers

N, HELD = 6000, 2000
FEATURES = tuple(
    Feature(name, lambda _: 0.0, "words", 1.0 if is_linear else None)
    for name, is_linear in (("logit", True), ("noise", False), ("ratio", True), ("bump", False))
)
NAMES = [f.name for f in FEATURES]
TRAIN = replace(params().train, trees=60, learning_rate=0.2)


def _rows() -> TrainingRows:
    """In the order of time; the last column matters in its middle only, which trees find."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 1, (N, 4)).astype(np.float32)
    matrix[:, 0] -= 2
    matrix[rng.random(N) < 0.1, 1] = np.nan
    chance = expit(matrix[:, 0] + matrix[:, 2] + 1.5 * (np.abs(matrix[:, 3]) < 0.5))
    at = np.sort(rng.integers(0, 10**6, N)).astype(np.uint32)
    user, post = (rng.integers(0, n, N).astype(np.uint32) for n in (50, 40))
    return TrainingRows(matrix, (rng.random(N) < chance).astype(np.uint8), at, user, post).sorted()


ROWS = _rows()


def _stored(rows: TrainingRows, directory: Path, n_files: int = 3, held: int = HELD) -> StoredRows:
    """The rows in files of whole users, in the order of time within each."""
    of = rows.user % n_files
    with workers(1):
        return store_rows(lambda part: [rows[of == part]], n_files, NAMES, url_of(directory), held)


def _fit(rows: TrainingRows | StoredRows, train: TrainParams = TRAIN) -> XGBoostRanker:
    with workers(1):
        return fit_ranker(rows, None, FEATURES, train)


def _bytes(ranker: XGBoostRanker) -> bytes:
    return ranker.content


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredRows:
    return _stored(ROWS, tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def ranker(stored: StoredRows) -> XGBoostRanker:
    return _fit(stored)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_rows_beyond_the_bound_stay_in_files_and_are_the_same(tmp_path: Path) -> None:
    learned = simulated()
    few = replace(learned.params, engine=replace(DEFAULTS.engine, held_rows=HELD))
    with workers(1):
        store = fit_store(learned.log, few)
        rows = training_rows(learned.log, store, few, url_of(tmp_path))
        rows.save(tmp_path)
        found = load_rows(tmp_path)
        assert found == rows
        assert isinstance(found, StoredRows)
        every = found.between(0, 1 << 31)
    assert [f.name for f in features_of(store.fitted)] == list(found.names)
    assert len(found.files) == learned.log.meta.n_buckets
    for name, values in vars(learned.rows).items():
        np.testing.assert_array_equal(getattr(every, name), values, err_msg=name)


def test_rows_within_the_bound_are_held(tmp_path: Path) -> None:
    learned = simulated()
    with workers(1):
        store = fit_store(learned.log, learned.params)
        rows = training_rows(learned.log, store, learned.params, url_of(tmp_path))
    assert isinstance(rows, TrainingRows)
    assert list(tmp_path.iterdir()) == []


def test_few_rows_are_held_at_a_time_and_their_order_is_that_of_the_files(
    stored: StoredRows,
) -> None:
    batches = list(stored.batches(0, 1 << 31))
    assert len(batches) > 5
    assert max(map(len, batches)) <= HELD // SHARES
    rows, of = ROWS, ROWS.user % 3
    order = np.concatenate([np.flatnonzero(of == part) for part in range(3)])
    np.testing.assert_array_equal(TrainingRows.joined(batches).matrix, rows.matrix[order])


def test_growing_twice_gives_the_same_bytes_wherever_the_files_are(
    ranker: XGBoostRanker, tmp_path: Path
) -> None:
    assert _bytes(_fit(_stored(ROWS, tmp_path / "elsewhere"))) == _bytes(ranker)


def test_growing_twice_by_two_threads_gives_the_same_bytes(tmp_path: Path) -> None:
    train = replace(TRAIN, threads=2, trees=2)
    few_batches = _stored(ROWS, tmp_path, held=SHARES * N // 2)
    assert _bytes(_fit(few_batches, train)) == _bytes(_fit(few_batches, train))


def test_it_says_nearly_what_a_ranker_of_held_rows_says(stored: StoredRows) -> None:
    of_all = replace(TRAIN, subsample=1.0)  # which rows a tree sees depends on their order
    ranker, expected, rows = _fit(stored, of_all), _fit(ROWS, of_all), ROWS
    assert ranker.first_stage == expected.first_stage
    assert ranker.feature_names == expected.feature_names
    p, q = (r.probability(rows.matrix).astype(float) for r in (ranker, expected))
    assert abs(log_loss(rows.liked, p) - log_loss(rows.liked, q)) < 0.001
    assert np.mean(np.abs(p - q)) < 0.01
    assert ranker.n_rounds > 1


def test_in_one_batch_the_bytes_are_those_of_held_rows(tmp_path: Path) -> None:
    found = _fit(_stored(ROWS, tmp_path, n_files=1, held=SHARES * N))
    assert 1 < found.n_rounds < TRAIN.trees
    assert _bytes(found) == _bytes(_fit(ROWS))


def test_late_rows_judge_trees_over_a_first_score_that_never_saw_them(stored: StoredRows) -> None:
    with workers(1):
        plan = Plan.of(stored, None, FEATURES, TRAIN)
    earlier = ROWS.between(0, plan.late)
    assert plan.stage(True) == FirstStage.fit(earlier.matrix, earlier.liked, FEATURES)
    assert plan.stage(False) == FirstStage.fit(ROWS.matrix, ROWS.liked, FEATURES)
    assert plan.stage(True) != plan.stage(False)


def test_the_latest_rows_decide_how_many_trees_grow(tmp_path: Path) -> None:
    rows = ROWS
    noise = np.array(rows.liked)
    late = rows.at >= np.quantile(rows.at, 0.9)
    noise[late] = np.random.default_rng(1).permutation(noise[late])
    trees = [
        _fit(_stored(replace(rows, liked=liked), tmp_path / name)).n_rounds
        for name, liked in (("true", rows.liked), ("noise", noise))
    ]
    assert trees[1] < trees[0]


def test_latest_rows_of_one_label_cannot_decide_and_do_not_stop_training(tmp_path: Path) -> None:
    rows = ROWS
    liked = np.where(rows.at >= np.quantile(rows.at, 0.9, method="lower"), 0, rows.liked)
    found = _fit(_stored(replace(rows, liked=liked.astype(np.uint8)), tmp_path / "rows"))
    assert found.n_rounds == TRAIN.trees


def test_rows_of_one_label_are_refused(tmp_path: Path) -> None:
    none = replace(ROWS, liked=np.zeros_like(ROWS.liked))
    with pytest.raises(SchemaError, match=r"training rows 0 are liked"):
        _fit(_stored(none, tmp_path / "rows"))


def test_a_file_that_goes_while_trees_are_planned_says_what_to_run(tmp_path: Path) -> None:
    rows = _stored(ROWS, tmp_path / "rows")
    with workers(1):
        plan = Plan.of(rows, None, FEATURES, TRAIN)
    (tmp_path / "rows" / rows.files[1]).unlink()
    gone = rf"'{rows.files[1]}' are no longer at.*dvc repro --force features"
    with pytest.raises(SchemaError, match=gone):
        grow_external(plan, 3, False)
    with pytest.raises(SchemaError, match=gone):
        _fit(rows)


def test_nothing_is_left_in_the_folder_for_temporary_files(
    stored: StoredRows, temporary: Path
) -> None:
    _fit(stored)
    assert list(temporary.iterdir()) == []


def test_rows_before_a_cutoff_alone_are_known(tmp_path: Path) -> None:
    rows = ROWS
    cutoff = int(np.quantile(rows.at, 0.6))
    features, train = FEATURES, TRAIN
    earlier = rows.between(0, cutoff)
    with workers(1):
        found = fit_ranker(_stored(rows, tmp_path / "all"), cutoff, features, train)
        alone = fit_ranker(_stored(earlier, tmp_path / "earlier"), None, features, train)
    assert _bytes(found) == _bytes(alone)


def test_a_fold_is_judged_by_rows_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "fit_ordered", lambda *_: None)  # rows in files learn likes
    learned = simulated()
    features, _ = saved(learned, tmp_path)
    fold = Calendar.of(learned.log.meta, 7, None).folds(1)[0]
    fewer = params(validate={"requests": 60}, train={"trees": 10})
    rows, of = learned.rows, learned.rows.user % 2
    names = [f.name for f in features_of(learned.store.fitted)]
    place = url_of(tmp_path / "rows")
    with workers(1):
        stored = store_rows(lambda part: [rows[of == part]], 2, names, place, HELD)
        found, expected = (
            run_fold(learned.log, features, some, fold, fewer) for some in (stored, rows)
        )
    np.testing.assert_array_equal(found.replayed.user, expected.replayed.user)
    np.testing.assert_array_equal(found.liked, expected.liked)
    assert np.mean(np.abs(found.probability - expected.probability)) < 0.02


@pytest.mark.parametrize("most", [1, 7, 100])
def test_batches_are_the_rows_however_they_are_cut(most: int) -> None:
    rows = ROWS[:50]
    pieces = [rows[:0], rows[:13], rows[13:14], rows[14:14], rows[14:]]
    batches = list(TrainingRows.batches(pieces, most))
    assert all(0 < len(b) <= most for b in batches)
    for name, values in vars(TrainingRows.joined(batches)).items():
        np.testing.assert_array_equal(values, getattr(rows, name))
