from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from feedrank.errors import ArtifactError, SchemaError
from feedrank.features.feature import POST, USER, Feature
from feedrank.features.rows import TrainingRows
from feedrank.params import TrainParams
from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers.xgboost_ranker import FILE, XGBoostRanker
from feedrank.stats.classification import auc, log_loss
from feedrank.training.fit import fit_ranker
from feedrank.training.importance import importance
from tests.support.simulated_logs import different_files, params

N = 6000
FEATURES = tuple(
    Feature(name, lambda _: 0.0, "words", 1.0 if is_linear else None)
    for name, is_linear in (("logit", True), ("noise", False), ("ratio", True), ("bump", False))
)
PARAMS = replace(params().train, trees=60, learning_rate=0.2)


def _rows(n: int = N, seed: int = 0, weight: float = 1.0) -> tuple[np.ndarray, ...]:
    """Matrix, liked, at and the true probability; the last column matters in its middle only."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 1, (n, 4)).astype(np.float32)
    matrix[:, 0] -= 2
    matrix[rng.random(n) < 0.1, 1] = np.nan
    true = matrix[:, 0] + weight * matrix[:, 2] + 1.5 * (np.abs(matrix[:, 3]) < 0.5)
    probability = expit(true)
    liked = (rng.random(n) < probability).astype(np.uint8)
    return matrix, liked, np.sort(rng.integers(0, 10**6, n)), probability


def _training(matrix: np.ndarray, liked: np.ndarray, at: np.ndarray) -> TrainingRows:
    return TrainingRows(matrix, liked, at, *np.zeros((2, len(at)), np.uint32))


def _fit(train: TrainParams = PARAMS, n: int = N) -> XGBoostRanker:
    matrix, liked, at, _ = _rows(n)
    return fit_ranker(_training(matrix, liked, at), None, FEATURES, train)


@pytest.fixture(scope="module")
def ranker() -> XGBoostRanker:
    return _fit()


def test_a_probability_is_one(ranker: XGBoostRanker) -> None:
    matrix, _, _, _ = _rows(seed=1)
    found = ranker.probability(matrix)
    assert found.dtype == np.float32
    assert ((found > 0) & (found < 1)).all()


def test_trees_learn_what_the_first_score_leaves(ranker: XGBoostRanker) -> None:
    matrix, liked, _, true = _rows(seed=1)
    first, whole = expit(ranker.first_stage(matrix)), ranker.probability(matrix)
    assert log_loss(liked, whole) < log_loss(liked, first) - 0.02
    assert auc(liked, whole) > auc(liked, first) + 0.02
    assert np.abs(whole - true).mean() < 0.05


def test_probabilities_are_calibrated(ranker: XGBoostRanker) -> None:
    matrix, liked, _, _ = _rows(20_000, seed=2)
    found = ranker.probability(matrix)
    for part in np.array_split(np.argsort(found), 5):
        assert found[part].mean() == pytest.approx(liked[part].mean(), abs=0.03)


def test_a_log_ratio_can_only_speak_for_a_post(ranker: XGBoostRanker) -> None:
    matrix, _, _, _ = _rows(300, seed=3)
    for column in (0, 2):
        before = ranker.probability(matrix)
        for step in (0.1, 1.0, 5.0):
            more = matrix.copy()
            more[:, column] += step
            now = ranker.probability(more)
            assert (now >= before - 1e-6).all()
            before = now


def test_rows_are_scored_one_by_one_as_together(ranker: XGBoostRanker) -> None:
    matrix, _, _, _ = _rows(3000, seed=4)
    together = ranker.probability(matrix)
    for i in range(0, 3000, 211):
        assert ranker.probability(matrix[i : i + 1]).tobytes() == together[i : i + 1].tobytes()
    order = np.random.default_rng(0).permutation(3000)
    assert ranker.probability(matrix[order]).tobytes() == together[order].tobytes()


def test_no_rows_have_no_probabilities(ranker: XGBoostRanker) -> None:
    assert ranker.probability(np.empty((0, 4), np.float32)).shape == (0,)


def test_a_ranker_comes_back_as_it_was_written(ranker: XGBoostRanker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    read = XGBoostRanker.load(tmp_path)
    matrix, _, _, _ = _rows(seed=5)
    assert read.probability(matrix).tobytes() == ranker.probability(matrix).tobytes()
    assert read.first_stage == ranker.first_stage
    assert read.feature_names == [f.name for f in FEATURES]


def test_fitting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        _fit().save(tmp_path / name)
    assert different_files(tmp_path / "a", tmp_path / "b") == []


@pytest.mark.parametrize("threads", [2, 4])
def test_the_number_of_threads_does_not_change_an_answer(
    ranker: XGBoostRanker, threads: int
) -> None:
    matrix, _, _, _ = _rows(seed=6)
    other = _fit(replace(PARAMS, threads=threads))
    assert other.probability(matrix).tobytes() == ranker.probability(matrix).tobytes()


def test_a_seed_changes_the_trees(ranker: XGBoostRanker) -> None:
    matrix, _, _, _ = _rows(seed=6)
    other = _fit(replace(PARAMS, seed=99))
    assert not np.array_equal(other.probability(matrix), ranker.probability(matrix))


def test_the_latest_rows_decide_how_many_trees_grow() -> None:
    matrix, liked, at, _ = _rows()
    noise = liked.copy()
    late = at >= np.quantile(at, 0.9)
    noise[late] = np.random.default_rng(1).permutation(noise[late])
    trees = [
        fit_ranker(_training(matrix, labels, at), None, FEATURES, PARAMS).n_rounds
        for labels in (liked, noise)
    ]
    assert trees[1] < trees[0]


@pytest.mark.parametrize("like", [0, 1])
def test_rows_of_one_label_are_refused(like: int) -> None:
    matrix, _, at, _ = _rows(50)
    with pytest.raises(SchemaError, match=f"of 50 training rows {50 * like} are liked"):
        fit_ranker(_training(matrix, np.full(50, like, np.uint8), at), None, FEATURES, PARAMS)


def test_no_rows_are_refused() -> None:
    none = np.empty(0)
    with pytest.raises(SchemaError, match="of 0 training rows 0 are liked"):
        fit_ranker(_training(np.empty((0, 4), np.float32), none, none), None, FEATURES, PARAMS)


@pytest.mark.parametrize("late_liked", [0, 1])
def test_latest_rows_of_one_label_cannot_decide_and_do_not_stop_training(late_liked: int) -> None:
    matrix, liked, at, _ = _rows(400)
    liked[at >= np.quantile(at, 0.9, method="lower")] = late_liked
    found = fit_ranker(_training(matrix, liked, at), None, FEATURES, PARAMS)
    assert found.n_rounds == 60


@pytest.mark.parametrize("content", [b"", b"hello", b"{}"])
def test_another_file_is_no_ranker(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{FILE}' is not a ranker\. Run `dvc repro`"):
        XGBoostRanker.load(tmp_path)


def test_a_missing_file_is_no_ranker(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=rf"{FILE}' is not a ranker\. Run `dvc repro`"):
        XGBoostRanker.load(tmp_path)


def test_the_first_score_adds_up_the_linear_features() -> None:
    score = FirstStage((2, 0), (0.5, 2.0), -1.0, (USER, POST))
    matrix = np.array([[1, 9, 4, 9], [0, 9, -2, 9]], np.float32)
    assert score(matrix).tolist() == [-1 + 0.5 * 4 + 2, -1 + 0.5 * -2]
    # As a grid of two users and two posts: what is a user's alone, and what is a post's.
    columns = {2: np.array([[4.0], [-2.0]]), 0: np.array([1.0, 0.0])}
    total = score.total(lambda grain: score.part(grain, columns.__getitem__), (2, 2))
    assert total.tolist() == [[3, 1], [0, -2]]


def test_a_ranker_knows_the_columns_that_its_trees_read() -> None:
    ranker, (matrix, *_) = _fit(replace(PARAMS, max_depth=1, trees=3)), _rows(seed=1)
    assert 3 in ranker.columns
    others = np.setdiff1d(np.arange(4), ranker.columns)
    assert len(others)
    expected, first = ranker.probability(matrix), ranker.first_stage(matrix)
    matrix[:, others] = np.nan
    assert ranker.probability(matrix, first).tobytes() == expected.tobytes()


@pytest.mark.parametrize("weight", [0.3, 1.0, 1.6])
def test_the_first_score_finds_how_much_a_ratio_counts(weight: float) -> None:
    matrix, _, _, _ = _rows(20_000)
    chance = expit(matrix[:, 0] + weight * matrix[:, 2])
    liked = (np.random.default_rng(1).random(len(chance)) < chance).astype(np.uint8)
    found = FirstStage.fit(matrix, liked, FEATURES)
    assert found.columns == (0, 2)
    assert found.weights[1] == pytest.approx(weight, abs=0.1)
    assert found.bias == pytest.approx(0, abs=0.15)


def test_a_ratio_that_hardly_varies_keeps_its_weight() -> None:
    matrix, liked, _, _ = _rows(2000)
    matrix[:, 2] = 0.001
    assert FirstStage.fit(matrix, liked, FEATURES).weights[1] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [0.0005, 0.5, 0.9995])
def test_the_first_score_is_finite_however_rare_or_frequent_likes_are(rate: float) -> None:
    matrix, _, _, _ = _rows(20_000)
    matrix[:, 0] *= 4
    liked = (np.random.default_rng(1).random(20_000) < rate).astype(np.uint8)
    found = FirstStage.fit(matrix, liked, FEATURES)
    assert np.isfinite([*found.weights, found.bias]).all()
    assert expit(found(matrix)).mean() == pytest.approx(liked.mean(), rel=0.02)


def test_importance_is_how_far_each_feature_moves_the_log_odds(ranker: XGBoostRanker) -> None:
    matrix, _, _, _ = _rows(seed=1)
    table = importance(ranker, matrix)
    found = dict(zip(table["feature"], table["effect"], strict=True))
    bump = 1.5 * np.std(np.abs(matrix[:, 3]) < 0.5)
    true = {"logit": 1.0, "ratio": 1.0, "bump": bump, "noise": 0.0}
    assert found == pytest.approx(true, abs=0.15)
    assert table["effect"].is_monotonic_decreasing
    weights = dict(zip(table["feature"], table["first_stage_weight"], strict=True))
    assert weights["bump"] == weights["noise"] == 0
    assert weights["logit"] > 0.5
