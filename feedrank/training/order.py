"""Order within requests: conditional logit and pairwise trees, where late rows ask for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost as xgb

from feedrank.features.rows import TrainingRows
from feedrank.ranking.first_stage import FITTED_ROWS, Design, FirstStage, averaged_weights
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.stats.logistic import level_of, platt
from feedrank.training.conditional_logit import fit_conditional
from feedrank.training.plan import Plan
from feedrank.training.query_groups import QueryGroups
from feedrank.training.trees import quantised, tree_settings


def fit_ordered(plan: Plan, logistic: xgb.Booster, step_seconds: int) -> XGBoostRanker | None:
    """A ranker that learns which post of a request is liked; None: it orders no better.

    The logistic loss spends weights and trees on how much is liked in a request. A conditional
    logit and trees by a pairwise loss (Burges 2010) learn the order within it alone.
    Late requests decide by their conditional loss. Then leaves and first stage are scaled, by a
    logistic regression on late rows, and an intercept added, by one on all rows: probabilities stay
    probabilities.

    Args:
        plan: with rows in memory and late rows.
        logistic: trees of the early rows by logistic loss, with their `best_iteration`.
        step_seconds: of a step of the rows' states.
    """
    assert isinstance(plan.rows, TrainingRows)
    is_late = np.asarray(plan.rows.at) >= plan.late
    early, late = plan.rows[~is_late], plan.rows[is_late]
    known, watched, every = (
        QueryGroups.of(r.user, r.at, r.liked, step_seconds) for r in (early, late, plan.rows)
    )
    if not len(known) or not len(watched):
        return None
    early_stage = _first_stage(plan, early, known)
    pairwise = _grow(plan, early_stage, plan.params.trees, (early, known), (late, watched))
    ordered, stages = (pairwise, logistic), (early_stage, plan.early_stage)
    scores = [
        _log_odds(booster, stage, late, int(booster.best_iteration) + 1)
        for booster, stage in zip(ordered, stages, strict=True)
    ]
    loss, other = (watched.calibrated_loss(s[watched.row]) for s in scores)
    if not watched.is_less(loss, other):
        return None
    scale, _ = platt(scores[0], late.liked)
    n_trees, stage = int(pairwise.best_iteration) + 1, _first_stage(plan, plan.rows, every)
    grown = _grow(plan, stage, n_trees, (plan.rows, every), None)
    # Of all rows: late ones are few, and other weights of columns far from 0 move all log-odds.
    level = level_of(scale * _log_odds(grown, stage, plan.rows, n_trees), plan.rows.liked)
    weights = tuple(scale * weight for weight in stage.weights)
    first_stage = replace(stage, weights=weights, bias=scale * stage.bias + level)
    return XGBoostRanker.of(rescaled(grown, scale), first_stage)


def _first_stage(plan: Plan, rows: TrainingRows, groups: QueryGroups) -> FirstStage:
    """Log ratios and terms, weighed by the order within requests; without a level."""
    some = groups.thinned(FITTED_ROWS)
    design = Design.of(rows.matrix[some.row], plan.features)
    # Whole, since no request may be cut: of a million rows and 64 columns two copies take 1 GB.
    wide = fit_conditional(design.values.astype(np.float64), some, design.mean, design.precision)
    weights = averaged_weights(wide, design.mean, design.precision, design.groups())
    return design.stage(weights, 0.0)


def _grow(
    plan: Plan,
    stage: FirstStage,
    n_trees: int,
    known: tuple[TrainingRows, QueryGroups],
    watched: tuple[TrainingRows, QueryGroups] | None,
) -> xgb.Booster:
    """Trees by pairwise loss; fewer once they stop helping the watched requests."""
    params = plan.params

    def some(
        rows: TrainingRows, groups: QueryGroups, ref: xgb.DMatrix | None = None
    ) -> xgb.DMatrix:
        matrix = rows.matrix[groups.row]
        return quantised(plan, matrix, groups.liked, stage, ref, qid=groups.request)

    def conditional_loss(score: np.ndarray, _: xgb.DMatrix) -> tuple[str, float]:
        assert watched is not None
        return "order", float(watched[1].loss(score.astype(np.float64)).mean())

    train = some(*known)
    late = [] if watched is None else [(some(*watched, train), "late")]
    settings = tree_settings(plan) | {
        "objective": "rank:pairwise",
        "disable_default_eval_metric": True,
        "nthread": params.threads,
    }
    del settings["eval_metric"]
    return xgb.train(
        settings,
        train,
        num_boost_round=n_trees,
        evals=late,
        custom_metric=conditional_loss if late else None,
        early_stopping_rounds=params.early_stopping_rounds if late else None,
        verbose_eval=False,
    )


def _log_odds(
    booster: xgb.Booster, stage: FirstStage, rows: TrainingRows, n_trees: int
) -> np.ndarray:
    """Margin of the first trees over a first stage, float64, shape (n,)."""
    booster.set_param({"nthread": 1})
    margin = booster.inplace_predict(
        rows.matrix,
        iteration_range=(0, n_trees),
        base_margin=stage(rows.matrix),
        predict_type="margin",
        validate_features=False,
    )
    return np.asarray(margin, dtype=np.float64)


def rescaled(booster: xgb.Booster, scale: float) -> xgb.Booster:
    """The same trees with leaves `scale` times as high, as a booster of log-odds."""
    model: dict[str, Any] = json.loads(booster.save_raw("json"))
    learner = model["learner"]
    for tree in learner["gradient_booster"]["model"]["trees"]:
        is_leaf = np.array(tree["left_children"]) < 0
        values = np.array(tree["split_conditions"])
        tree["split_conditions"] = np.where(is_leaf, scale * values, values).tolist()
        tree["base_weights"] = (scale * np.array(tree["base_weights"])).tolist()
    learner["objective"] = {
        "name": "binary:logistic",
        "reg_loss_param": {"scale_pos_weight": "1"},
    }
    # A ranking starts from 0, which is no probability. The first stage's margins replace it.
    learner["learner_model_param"]["base_score"] = "[5E-1]"
    of_log_odds = xgb.Booster({"nthread": 1})
    of_log_odds.load_model(bytearray(json.dumps(model).encode()))
    return of_log_odds
