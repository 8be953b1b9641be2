"""Plan of training: first stages of early rows and of all."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax

from feedrank.features.feature import PAIR, POST, RATIO, TERM, TOPIC, Feature
from feedrank.features.rows import TrainingRows
from feedrank.ranking.first_stage import (
    LEAST_TERM,
    MOST_TOGETHER,
    NO_SPREAD,
    TERM_SPREAD,
    WEIGHT_SPREAD,
    Design,
    TermGroup,
    averaged_weights,
)
from feedrank.stats.logistic import LogisticFit
from feedrank.training.plan import Plan
from tests.support.simulated_logs import params

FEATURES = (
    Feature("known", lambda q: 0.0, "a log ratio", RATIO),
    Feature("fresh", lambda q: 0.0, "likes of the last hour", TERM, POST),
)


def _rows(
    scale: float = 1.0, late_effect: float = 0.5, n: int = 20_000, effect: float = 0.5
) -> TrainingRows:
    """Rows with an effect of the second column, in units of a scale, and a late one."""
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(n, 2))
    at = np.arange(n, dtype=np.uint32)
    effects = np.where(at < 0.9 * n, effect, late_effect)
    liked = rng.random(n) < expit(-2 + matrix[:, 0] + effects * matrix[:, 1])
    user = rng.integers(0, 500, n).astype(np.uint32)
    matrix[:, 1] *= scale
    return TrainingRows(matrix.astype(np.float32), liked.astype(np.uint8), at, user, user)


def test_the_early_stage_has_not_learned_from_late_rows() -> None:
    plan, other = (Plan.of(_rows(late_effect=e), None, FEATURES, params().train) for e in (-3, 3))
    assert plan.early_stage == other.early_stage
    assert plan.first_stage.weights[1] < plan.early_stage.weights[1] < other.first_stage.weights[1]


def test_one_stage_serves_both_where_no_row_is_late() -> None:
    one_moment = replace(_rows(), at=np.zeros(20_000, np.uint32))
    plan = Plan.of(one_moment, None, FEATURES, params().train)
    assert plan.early_stage == plan.first_stage


def test_a_term_that_hardly_varies_gets_no_large_weight() -> None:
    """In units of its spread it would weigh 50, and a post outside the rows' range decide alone."""
    weight = Plan.of(_rows(scale=0.01), None, FEATURES, params().train).first_stage.weights
    assert 0 < weight[1] < 10 * TERM_SPREAD
    assert abs(weight[0] - 1) < WEIGHT_SPREAD


def test_rows_choose_whether_terms_count() -> None:
    stages = [
        Plan.of(_rows(effect=e, late_effect=e), None, FEATURES, params().train).first_stage
        for e in (0.0, 0.02, 0.5)
    ]
    none, weak, strong = (stage.weights[1] for stage in stages)
    assert abs(none) < 0.005
    assert abs(weak) < 0.01  # within a standard error of none, .02
    assert abs(strong - 0.5) < 0.1
    assert all(abs(stage.weights[0] - 1) < WEIGHT_SPREAD for stage in stages)


@pytest.mark.parametrize("scale", [0.1, 1.0, 1000.0])
@pytest.mark.parametrize("grain", [POST, PAIR])
def test_a_term_that_hardly_moves_the_rows_that_hold_it_costs_no_request(
    scale: float, grain: str
) -> None:
    """Three rows of four hold none; the root mean square of the others' values is the scale."""
    features = (FEATURES[0], replace(FEATURES[1], grain=grain))
    held = scale * np.sqrt([[0.5], [1.5]])
    matrix = np.vstack([held, np.zeros((6, 1))]) * [[1.0, 1.0]]
    design = Design.of(matrix.astype(np.float32), features)
    for effect, counts in ((1.1 * LEAST_TERM, scale < 1000), (0.9 * LEAST_TERM, False)):
        stage = design.stage(np.array([0.001 / scale, effect / scale]), 0.0)
        expected = effect / scale if counts else 0.0
        assert stage.weights == pytest.approx((0.001 / scale, expected), rel=1e-6)
        assert stage.reads(grain) == (counts or grain == PAIR)


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_the_mean_over_all_models(seed: int) -> None:
    """Each model fitted by itself, all columns at once."""
    rng = np.random.default_rng(seed)
    mean, precision = np.array([1.0, 1.0, 0, 0, 0, 0, 0]), rng.uniform(1, 9, 7)
    rows = rng.normal(size=(40, 7))
    wide = LogisticFit(mean + rng.normal(0, 0.3, 7), rows.T @ rows + np.diag(precision))
    groups = [TermGroup(np.array(places), 0.0) for places in ([2, 4], [3], [5, 6])]
    likelihood = wide.curvature - np.diag(precision)
    modes, evidence = [], []
    for counts in itertools.product((True, False), repeat=3):
        prior = precision.copy()
        for group, does in zip(groups, counts, strict=True):
            prior[group.places] = precision[group.places] if does else NO_SPREAD**-2
        posterior = likelihood + np.diag(prior)
        pull = wide.curvature @ wide.weights + (prior - precision) * mean
        modes.append(np.linalg.solve(posterior, pull))
        fit = pull @ modes[-1] - mean @ (prior * mean)
        evidence.append((fit + np.log(prior).sum() - np.linalg.slogdet(posterior)[1]) / 2)
    expected = softmax(evidence) @ np.array(modes)
    assert averaged_weights(wide, mean, precision, groups) == pytest.approx(expected, abs=1e-9)
    assert averaged_weights(wide, mean, precision, []) == pytest.approx(wide.weights)


def _with_noise(
    rows: TrainingRows, n: int, grain: str = POST
) -> tuple[TrainingRows, tuple[Feature, ...]]:
    """Rows with `n` more terms of posts, or of topics, that tell nothing, and all features."""
    noise = np.random.default_rng(6).normal(size=(len(rows), n)).astype(np.float32)
    names = tuple(replace(FEATURES[1], name=f"noise {i}", grain=grain) for i in range(n))
    return replace(rows, matrix=np.column_stack([rows.matrix, noise])), FEATURES + names


def test_many_terms_that_tell_nothing_weigh_nothing() -> None:
    rows, features = _with_noise(_rows(n=2_000, effect=0.0, late_effect=0.0), 12)
    stage = Plan.of(rows, None, features, params().train).first_stage
    assert stage.weights[1:] == (0,) * 13
    read = list[int]()
    for grain in set(stage.grains):
        stage.part(grain, lambda column: float(read.append(column) or 1))
    assert read == [0]


@pytest.mark.parametrize("grain", [POST, TOPIC])
def test_noise_of_posts_or_topics_mutes_no_term_of_pairs_that_few_rows_hold(grain: str) -> None:
    """Three rows in a thousand are of posts that the user liked before; a list may hold five."""
    rng = np.random.default_rng(7)
    rows = _rows(effect=0.0, late_effect=0.0)
    again = rng.random(len(rows)) < 0.003
    liked = np.where(again, rng.random(len(rows)) < expit(-2 + rows.matrix[:, 0] + 1), rows.liked)
    matrix = np.column_stack([rows.matrix[:, 0], again]).astype(np.float32)
    rows, features = _with_noise(
        replace(rows, matrix=matrix, liked=liked.astype(np.uint8)), 7, grain
    )
    of_pairs, together = (
        Plan.of(rows, None, (known, replace(fresh, grain=g), *noise), params().train).first_stage
        for known, fresh, *noise in [features]
        for g in (PAIR, grain)
    )
    assert 0.3 < of_pairs.weights[1] < 1.5
    assert abs(together.weights[1]) < 0.01


def test_any_number_of_terms_of_pairs_is_judged() -> None:
    rows, features = _with_noise(_rows(), 20)
    of_pairs = tuple(replace(f, grain=PAIR) if f.weight == TERM else f for f in features)
    stage = Plan.of(rows, None, of_pairs, params().train).first_stage
    assert abs(stage.weights[1] - 0.5) < 0.1
    assert np.abs(stage.weights[4:]).max() < 0.02


def test_of_groups_that_tell_the_same_some_count() -> None:
    """Each counts in less than half of the models; without all of them nothing would be told."""
    rows, (known, fresh) = _rows(effect=0.2, late_effect=0.2), FEATURES
    same = (known, *(replace(fresh, name=name, group=name) for name in "abcdef"))
    rows = replace(rows, matrix=rows.matrix[:, [0, *[1] * 6]])
    weights = Plan.of(rows, None, same, params().train).first_stage.weights[1:]
    assert abs(sum(weights) - 0.2) < 0.05
    assert min(map(abs, weights)) == 0


def test_terms_of_many_groups_of_ones_own_are_judged_together() -> None:
    rows, features = _with_noise(_rows(), 20)
    own = (*features[:2], *(replace(f, group=f.name) for f in features[2:]))
    design = Design.of(rows.matrix, own)
    groups = design.groups()
    assert len(groups) == MOST_TOGETHER
    assert sorted(np.concatenate([g.places for g in groups])) == list(range(1, len(design.columns)))
