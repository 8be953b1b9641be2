"""Trees summed as arrays have the bits of XGBoost."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost as xgb

from feedrank.ranking.first_stage import FirstStage
from feedrank.ranking.rankers import xgboost_ranker as module
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.ranking.rankers.xgboost_trees import Trees

N_FEATURES = 6
NOTHING = FirstStage((), (), 0.0, ())


def _rows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Matrix with missing values, and log-odds to start from, some of them extreme."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    return matrix, rng.normal(0, rng.choice([1, 100], n)).astype(np.float32)


def _booster(n_trees: int, depth: int, gain: float = 2) -> xgb.Booster:
    matrix, _ = _rows(3000, seed=1)
    signal = np.nan_to_num(matrix[:, 0]) * np.nan_to_num(matrix[:, 1]) + np.isnan(matrix[:, 2])
    liked = np.random.default_rng(2).random(3000) < 1 / (1 + np.exp(-2 * signal))
    params = {"objective": "binary:logistic", "max_depth": depth, "gamma": gain, "nthread": 1}
    names = [f"feature {i}" for i in range(N_FEATURES)]
    rows = xgb.DMatrix(matrix, liked, feature_names=names, nthread=1)
    return xgb.train(params, rows, n_trees)


def _trees(booster: xgb.Booster) -> Trees:
    return Trees(json.loads(booster.save_raw("json")))


@pytest.mark.parametrize(("n_trees", "depth"), [(1, 1), (40, 1), (40, 2), (30, 6)])
@pytest.mark.parametrize("n_rows", [0, 1, 2, 500])
def test_probabilities_have_the_bits_of_xgboost(
    monkeypatch: pytest.MonkeyPatch, n_trees: int, depth: int, n_rows: int
) -> None:
    ranker, (matrix, start) = XGBoostRanker.of(_booster(n_trees, depth), NOTHING), _rows(n_rows)
    found = []
    for few in (0 if n_rows else -1, 10**9):
        monkeypatch.setattr(module, "FEW_NODES", few)
        found.append(ranker.probability(matrix, start))
    of_xgboost, of_arrays = found
    assert of_arrays.dtype == np.float32
    assert of_arrays.tobytes() == of_xgboost.tobytes()


def test_log_odds_have_the_bits_of_xgboost_and_lie_within_the_spread() -> None:
    booster, (matrix, start) = _booster(40, 3), _rows(500)
    trees = _trees(booster)
    expected = booster.inplace_predict(matrix, base_margin=start, predict_type="margin")
    assert trees.margin(matrix, start).tobytes() == expected.tobytes()
    lifted = trees.margin(matrix, np.zeros(500, np.float32))
    assert 0 < np.ptp(lifted) <= trees.spread
    assert trees.n_nodes == sum(text.count("\n") for text in booster.get_dump())


@pytest.mark.parametrize(("n_trees", "depth"), [(1, 1), (3, 0), (40, 2), (30, 6)])
def test_a_row_lies_in_one_leaf_of_each_tree(n_trees: int, depth: int) -> None:
    trees, (matrix, _) = _trees(_booster(n_trees, depth)), _rows(500)
    matrix = np.nan_to_num(matrix)
    low, high, _, _, value = trees.leaves(N_FEATURES)
    row = matrix[:, None]
    within = ((low <= row) & (row < high)).all(axis=2)
    assert (within.sum(axis=1) == n_trees).all()
    nothing = np.zeros(500, np.float32)
    assert np.allclose(within @ value, trees.margin(matrix, nothing), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("n_trees", "depth", "gain"),
    [(1, 1, 2), (3, 0, 2), (3, 0, 1e9), (40, 2, 2), (40, 4, 2), (30, 6, 2)],
)
@pytest.mark.parametrize("n_rows", [1, 200])
def test_contributions_are_the_shap_values_of_xgboost(
    monkeypatch: pytest.MonkeyPatch, n_trees: int, depth: int, gain: float, n_rows: int
) -> None:
    ranker = XGBoostRanker.of(_booster(n_trees, depth, gain), NOTHING)
    matrix, start = _rows(n_rows)
    for tree in ranker.model["learner"]["gradient_booster"]["model"]["trees"][:1]:
        split, threshold = tree["split_indices"][0], tree["split_conditions"][0]
        matrix[0, split] = threshold  # a row at a split goes right
    found, margins = [], []
    for few in (0, 10**9):
        monkeypatch.setattr(module, "FEW_NODES", few)
        found.append(ranker.contributions(matrix))
        margins.append(ranker.probability(matrix, start))
    (expected, expected_mean), (of_arrays, mean) = found
    assert of_arrays.shape == matrix.shape
    assert of_arrays == pytest.approx(expected, abs=1e-5)
    assert mean == pytest.approx(expected_mean, abs=1e-6)
    assert margins[0].tobytes() == margins[1].tobytes()
    assert ranker.contributions(matrix[:0])[0].shape == (0, N_FEATURES)
    assert bool(ranker.columns) == (gain < 1e9)


def test_contributions_add_up_where_no_row_weighs_anything() -> None:
    model, (matrix, _) = json.loads(_booster(5, 3).save_raw("json")), _rows(20)
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        tree["sum_hessian"] = [0.0] * len(tree["sum_hessian"])
    trees = Trees(model)
    found, mean = trees.contributions(matrix)
    expected = trees.margin(matrix, np.zeros(20, np.float32))
    assert mean + found.sum(1) == pytest.approx(expected, abs=1e-5)


def test_a_ranker_that_xgboost_read_at_its_load_is_explained_by_it() -> None:
    ranker, (matrix, _) = XGBoostRanker.of(_booster(5, 3), NOTHING), _rows(2)
    ranker.be_ready(1)
    assert not ranker.is_read
    of_arrays, _ = ranker.contributions(matrix)
    ranker.be_ready(10**9)
    del ranker.trees  # of arrays, which are not asked again
    found, _ = ranker.contributions(matrix)
    assert ranker.is_read
    assert found == pytest.approx(of_arrays, abs=1e-5)
    assert not np.array_equal(found, of_arrays)  # float32 there
