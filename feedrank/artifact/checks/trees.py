"""Trees of a ranker: no path through them leaves them, or never ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from feedrank.ranking.rankers.xgboost_trees import LEAF

OF_NODES = ("right_children", "split_indices", "default_left", "split_conditions", "sum_hessian")


def check_trees(model: Mapping[str, Any]) -> None:
    """Walk all trees of a model, as XGBoost saves it in JSON.

    Neither XGBoost nor `Trees` checks an index: rows that come to a node which is not there end the
    process, and rows in a circle never come back.

    Raises:
        ValueError: a node names another that is not there or has two parents, or no feature.
    """
    learner = model["learner"]
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise ValueError(f"it is a booster '{booster['name']}', not one of trees")
    for number, tree in enumerate(booster["model"]["trees"]):
        if not _is_sound(tree, len(learner["feature_names"])):
            raise ValueError(f"tree {number} does not hang together")


def _is_sound(tree: dict[str, Any], n_features: int) -> bool:
    left, right, feature = (tree[k] for k in ("left_children", "right_children", "split_indices"))
    if any(tree["split_type"]) or any(len(tree[name]) != len(left) for name in OF_NODES):
        return False
    if not all(map(math.isfinite, (*tree["split_conditions"], *tree["sum_hessian"]))):
        return False
    seen: set[int] = set()
    waiting = [0]
    while waiting:
        node = waiting.pop()
        if node in seen or not 0 <= node < len(left):
            return False
        seen.add(node)
        if not 0 <= feature[node] < n_features:
            return False
        if left[node] != LEAF:
            waiting += [left[node], right[node]]
        elif right[node] != LEAF:
            return False
    return True
