"""Trees that learn the order within requests, where late rows ask for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from scipy.special import expit

from feedrank.features.feature import TERM, TOPIC, Feature
from feedrank.features.rows import EVER, TrainingRows
from feedrank.training import fit, plan
from feedrank.training.fit import fit_ranker
from feedrank.training.order import fit_ordered, rescaled
from feedrank.training.plan import Plan
from feedrank.training.trees import grow_in_memory
from tests.support.simulated_logs import params, simulated

FEATURES = (
    Feature("known", lambda q: 0.0, "a log ratio", 1.0),
    Feature("fresh", lambda q: 0.0, "likes of the last hour", None),
)
PARAMS = replace(params().train, min_split_gain=1, min_child_weight=5)


def _rows(mood: float, n_requests: int = 4000, size: int = 6) -> TrainingRows:
    """Lists of a moment each, in which fresh posts are liked more.

    Args:
        mood: how much more is liked in lists of stale posts.
        n_requests: lists.
        size: posts of each.
    """
    rng = np.random.default_rng(7)
    stale = rng.normal(size=(n_requests, 1))
    within = rng.normal(size=(n_requests, size))
    known = 0.2 * rng.normal(size=(n_requests, size))
    liked = rng.random((n_requests, size)) < expit(-2 + known + within + mood * stale)
    matrix = np.stack([known, within - stale], axis=-1).reshape(-1, 2).astype(np.float32)
    at = np.repeat(np.arange(n_requests, dtype=np.uint32) * 60, size)
    user = np.repeat(rng.integers(0, 800, n_requests), size).astype(np.uint32)
    post = np.tile(np.arange(size, dtype=np.uint32), n_requests)
    return TrainingRows(matrix, liked.ravel().astype(np.uint8), at, user, post)


def test_trees_learn_the_order_where_lists_of_few_likes_hold_the_better_posts() -> None:
    rows = _rows(mood=2.0)
    ranker = fit_ranker(rows, None, FEATURES, PARAMS)
    stale, fresh = np.array([[0, -1.5], [0, 1.5]], np.float32)
    assert ranker.probability(fresh[None]) > ranker.probability(stale[None])


def test_trees_of_likes_stay_where_requests_hold_one_post() -> None:
    rows = _rows(mood=0.0, size=1)
    plan = Plan.of(replace(rows, at=60 * rows.at), None, FEATURES, PARAMS)
    assert fit_ordered(plan, grow_in_memory(plan, 50, True), EVER) is None


def test_late_rows_whose_order_turned_round_keep_trees_of_likes() -> None:
    """As where recommended lists hide what early ones showed."""
    rows = _rows(mood=2.0)
    is_late = rows.at >= np.quantile(rows.at, 0.9)
    turned = rows.matrix.copy()
    turned[is_late, 1] *= -1
    plan = Plan.of(replace(rows, matrix=turned), None, FEATURES, PARAMS)
    assert fit_ordered(plan, grow_in_memory(plan, 50, True), EVER) is None


def test_terms_order_where_trees_find_no_split() -> None:
    features = (FEATURES[0], replace(FEATURES[1], weight=TERM))
    few, stiff = _rows(mood=2.0, n_requests=200), replace(PARAMS, min_split_gain=1e6)
    ranker = fit_ranker(few, None, features, stiff)
    assert ranker.first_stage.columns == (0, 1)
    assert ranker.first_stage.weights[1] > 0.1


def test_terms_that_tell_nothing_of_the_order_weigh_nothing() -> None:
    rows, rng = _rows(mood=2.0), np.random.default_rng(8)
    noise = rng.normal(size=(len(rows), 6)).astype(np.float32)
    rows = replace(rows, matrix=np.column_stack([rows.matrix, noise]))
    term = replace(FEATURES[1], weight=TERM)
    terms = (replace(term, name=f"noise {i}", grain=TOPIC) for i in range(6))
    plan = Plan.of(rows, None, (FEATURES[0], term, *terms), PARAMS)
    ranker = fit_ordered(plan, grow_in_memory(plan, 50, True), EVER)
    assert ranker is not None
    assert ranker.first_stage.weights[1] > 0.02
    assert ranker.first_stage.weights[2:] == (0,) * 6


def test_sittings_end_with_the_steps_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = list[int]()
    monkeypatch.setattr(fit, "fit_ordered", lambda *_: steps.append(_[-1]))
    store = simulated().store
    fit_ranker(_rows(mood=0.0, n_requests=200), None, FEATURES, PARAMS, store)
    assert steps == [store.fitted.step_seconds]


def test_probabilities_of_ordered_trees_are_as_high_as_likes() -> None:
    rows = _rows(mood=2.0)
    ranker = fit_ranker(rows, None, FEATURES, PARAMS)
    assert ranker.probability(rows.matrix).mean() == pytest.approx(rows.liked.mean(), rel=0.1)


def test_their_level_is_that_of_all_likes_whatever_the_level_of_columns() -> None:
    rows = _rows(mood=2.0)
    rows = replace(rows, matrix=rows.matrix - np.array([8, 0], np.float32))
    found = fit_ranker(rows, None, FEATURES, PARAMS).probability(rows.matrix).mean()
    assert found == pytest.approx(rows.liked.mean(), rel=1e-4)


def test_leaves_are_scaled_and_the_objective_is_a_probability() -> None:
    rows = _rows(mood=0.0, n_requests=500)
    data = xgb.DMatrix(rows.matrix, rows.liked, qid=rows.at)
    booster = xgb.train({"objective": "rank:pairwise", "max_depth": 3}, data, 5)
    scaled = rescaled(booster, 0.4)
    margin = {"base_margin": np.zeros(len(rows), np.float32), "predict_type": "margin"}
    np.testing.assert_allclose(
        scaled.inplace_predict(rows.matrix, **margin),
        0.4 * booster.inplace_predict(rows.matrix, **margin),
        rtol=1e-4,
        atol=1e-6,
    )
    config = json.loads(scaled.save_config())
    assert config["learner"]["objective"]["name"] == "binary:logistic"


@pytest.mark.parametrize("n_binned", [500, 6_000])
def test_bins_of_some_rows_order_as_those_of_all(
    monkeypatch: pytest.MonkeyPatch, n_binned: int
) -> None:
    rows = _rows(mood=2.0)
    in_all_bins = fit_ranker(rows, None, FEATURES, PARAMS).probability(rows.matrix)
    monkeypatch.setattr(plan, "BINNED_ROWS", n_binned)
    in_some = fit_ranker(rows, None, FEATURES, PARAMS).probability(rows.matrix)
    assert np.corrcoef(in_all_bins, in_some)[0, 1] > 0.99
    assert len(np.unique(in_some)) > 50  # rows beyond the sample have bins too


def test_all_trees_of_a_ranker_share_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    refs: list[Any] = []
    rows, binned = _rows(mood=2.0), Plan.binned

    def noted(self: Plan, matrix: np.ndarray, **of_rows: Any) -> xgb.QuantileDMatrix:
        refs.append(of_rows.get("ref"))
        if len(refs) == 1:  # the bins: 24,000 rows, every fourth
            np.testing.assert_array_equal(matrix, rows.matrix[::4])
        return binned(self, matrix, **of_rows)

    monkeypatch.setattr(Plan, "binned", noted)
    monkeypatch.setattr(plan, "BINNED_ROWS", 6_000)
    fit_ranker(rows, None, FEATURES, PARAMS)
    assert len(refs) == 6  # the bins; early and late by likes, early and late by order; all
    assert [ref is None for ref in refs] == [True] + 5 * [False]
    assert len({id(refs[of]) for of in (1, 3, 5)}) == 1
