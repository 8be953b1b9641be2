"""Conversion of a ranker for older versions of XGBoost, from 1.6 on."""

from __future__ import annotations

import json

import numpy as np
import xgboost as xgb

from feedrank.checker.model import Probe
from feedrank.errors import ArtifactError
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker


def older_ranker(ranker: XGBoostRanker, probe: Probe) -> bytes:
    """The ranker as JSON for XGBoost 1.6 and later, equal on the probe to the last bit.

    Raises:
        ArtifactError: an answer differs from the probe's.
    """
    content = for_older_readers(ranker.content)
    found = Probe.of(XGBoostRanker(content), probe.matrix)
    if not (
        np.array_equal(found.probability, probe.probability)
        and np.array_equal(found.trees, probe.trees)
    ):
        raise ArtifactError(
            "the ranker for older readers differs from the artifact's on the probe: this code does "
            f"not know how XGBoost {xgb.__version__} writes models. Install the pins of "
            "requirements.txt."
        )
    return content


def for_older_readers(content: bytes) -> bytes:
    """The model as JSON with its base score as a plain number, which all versions read.

    Since XGBoost 3.1 the base score is a list in a string. Older versions silently read "[1.2E-1]"
    as 0.5, and predictions are wrong.

    Raises:
        ArtifactError: the model has several outputs, which older versions cannot hold.
    """
    model = json.loads(content)
    param = model["learner"]["learner_model_param"]
    base = param["base_score"].strip("[]")
    if "," in base:
        raise ArtifactError(
            f"the ranker has the base scores [{base}], one for each of its outputs, which XGBoost "
            "1.6 cannot read. Train one with a single output."
        )
    param["base_score"] = base
    return json.dumps(model, separators=(",", ":"), sort_keys=True).encode()
