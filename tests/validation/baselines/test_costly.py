from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.features.rows import TrainingRows
from feedrank.log.calendar import Calendar
from feedrank.stats.classification import auc
from feedrank.validation.baselines.als import Als, likes_before
from feedrank.validation.baselines.logistic import Logistic, LogisticWeights
from feedrank.validation.fold import run_fold
from feedrank.validation.fold_ranker import FoldRanker
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import FoldModels, method_names
from tests.support.request_tables import list_of
from tests.support.simulated_logs import DEFAULTS, Learned, saved, simulated, workers

ALL = replace(DEFAULTS.validate, baselines="all")


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def test_the_regression_orders_rows_by_what_is_liked(learned: Learned) -> None:
    rows = learned.rows
    weights = LogisticWeights.fit(rows, seed=1)
    assert auc(rows.liked, weights.score(np.asarray(rows.matrix))) > 0.6


def test_a_missing_value_counts_as_the_mean(learned: Learned) -> None:
    weights = LogisticWeights.fit(learned.rows, seed=1)
    row = np.array(learned.rows.matrix[:1], dtype=float)
    row[:] = np.nan
    assert weights.score(row) == pytest.approx(0)


def test_a_constant_feature_has_no_weight(learned: Learned) -> None:
    matrix = np.array(learned.rows.matrix)
    matrix[:, 3] = 0.25
    rows = TrainingRows(matrix, *list(vars(learned.rows).values())[1:])
    weights = LogisticWeights.fit(rows, seed=1)
    assert weights.weight[3] == pytest.approx(0, abs=1e-3)


def test_the_regression_s_list_is_that_of_its_scores(learned: Learned) -> None:
    weights = LogisticWeights.fit(learned.rows, seed=1)
    method = Logistic(learned.recommender, weights)
    posts = np.arange(learned.log.meta.n_posts)
    scores = method.score(3, 25 * 86_400, posts)
    ranked = list_of(method, 3, 25 * 86_400, 5, posts)
    assert ranked.post.tolist() == np.argsort(-scores)[:5].tolist()


def test_without_the_library_its_baseline_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "als" not in method_names(DEFAULTS.validate)
    monkeypatch.setattr("importlib.util.find_spec", lambda library: None)
    assert method_names(ALL)[-2:] == ("logistic", "ease")
    monkeypatch.setattr("importlib.util.find_spec", lambda library: library)
    assert method_names(ALL)[-4:] == ("ease", "als", "lightgbm_binary", "lightgbm_rank")


def test_the_headline_is_of_the_state_that_is_asked_for() -> None:
    assert method_names(replace(ALL, state="fresh"))[:2] == ("feedrank", "feedrank_aged")
    assert method_names(replace(ALL, state="aged"))[:2] == ("feedrank", "feedrank_fresh")


@pytest.mark.parametrize("state", ["fresh", "aged"])
def test_the_regression_reads_features_in_the_state_of_the_headline(
    learned: Learned, tmp_path: Path, state: str
) -> None:
    p, fold = learned.params, Calendar.of(learned.log.meta, None, None).folds(1)[0]
    weights = LogisticWeights.fit(learned.rows, seed=1)
    features = saved(learned, tmp_path)[0]
    validate = replace(p.validate, state=state)
    ours = FoldRanker(features, fold, learned.ranker, replace(p, validate=validate))
    names = (method_names(validate)[0], "logistic")
    methods = FoldModels(ours, names, {"logistic": weights}).methods
    assert isinstance(methods[-1], Logistic)
    assert methods[-1].recommender is methods[0]


@pytest.mark.skipif("als" not in method_names(ALL), reason="'implicit' is not installed")
def test_als_is_fitted_on_likes_before_the_step_alone(learned: Learned) -> None:
    likes = likes_before(learned.store, 10)
    expected = sum(int(b.liked[b.at < 10 * 86_400].sum()) for b in learned.log.buckets())
    assert likes.sum() == expected
    one, again = (Als.fit(learned.store, 10, seed=1) for _ in range(2))
    np.testing.assert_array_equal(one.user, again.user)
    assert one.score(0, 0, np.arange(len(one.post))).shape == (len(one.post),)


def test_all_baselines_are_replayed_in_the_aged_state(
    learned: Learned, tmp_path_factory: pytest.TempPathFactory
) -> None:
    features = saved(learned, tmp_path_factory.mktemp("all"))[0]
    p = learned.params
    validate = replace(p.validate, baselines="all", state="aged")
    fold = Calendar.of(learned.log.meta, None, None).folds(1)[0]
    with workers(1):
        aged = run_fold(learned.log, features, learned.rows, fold, replace(p, validate=validate))
        fresh = run_fold(learned.log, features, learned.rows, fold, p)
    assert aged.names == method_names(validate)
    assert len(aged.replayed.top) == len(aged.names)
    np.testing.assert_array_equal(aged.replayed.top[0], fresh.replayed.top[1])
    np.testing.assert_array_equal(aged.replayed.top[1], fresh.replayed.top[0])
    found = score(aged.replayed, aged.names, 5, validate)
    assert 0 < found.methods["logistic"].expected.value < 1
