"""Trees of a ranker: no path through them leaves them, or never ends."""

from __future__ import annotations

import json
import math
from typing import Any

import xgboost as xgb

from feedrank.ranking.rankers.xgboost_trees import LEAF


def check_trees(booster: xgb.Booster) -> None:
    """Walk all trees of a booster.

    XGBoost checks no index when it predicts: rows that come to a node which is not there end the
    process, and rows in a circle never come back.

    Raises:
        ValueError: a node names another that is not there or has two parents, or no feature.
    """
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    if model["name"] != "gbtree":
        raise ValueError(f"it is a booster '{model['name']}', not one of trees")
    for number, tree in enumerate(model["model"]["trees"]):
        if not _is_sound(tree, len(booster.feature_names or [])):
            raise ValueError(f"tree {number} does not hang together")


def _is_sound(tree: dict[str, Any], n_features: int) -> bool:
    left, right, feature = (tree[k] for k in ("left_children", "right_children", "split_indices"))
    if any(tree["split_type"]) or not all(map(math.isfinite, tree["split_conditions"])):
        return False
    seen: set[int] = set()
    waiting = [0]
    while waiting:
        node = waiting.pop()
        if node in seen or not 0 <= node < len(left):
            return False
        seen.add(node)
        if left[node] != LEAF:
            if not 0 <= feature[node] < n_features:
                return False
            waiting += [left[node], right[node]]
    return True
