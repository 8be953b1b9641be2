"""A ranker that older versions of XGBoost read as it is meant."""

from __future__ import annotations

import json

import numpy as np
import xgboost as xgb

from feedrank.checker.model import Probe
from feedrank.errors import ArtifactError
from feedrank.ranking.ranker import Ranker


def older_ranker(ranker: Ranker, probe: Probe) -> bytes:
    """The ranker as JSON for XGBoost 1.6 and later, proved equal to the last bit.

    Raises:
        ArtifactError: it answers otherwise than the probe holds.
    """
    content = for_older_readers(ranker.booster)
    again = Ranker(xgb.Booster({"nthread": 1}, model_file=bytearray(content)), ranker.first_stage)
    found = Probe.of(again, probe.matrix)
    if not (
        np.array_equal(found.probability, probe.probability)
        and np.array_equal(found.trees, probe.trees)
    ):
        raise ArtifactError(
            f"the ranker for older readers differs from ours on the probe: XGBoost "
            f"{xgb.__version__} writes models otherwise than this code knows. Install the pins of "
            "requirements.txt."
        )
    return content


def for_older_readers(booster: xgb.Booster) -> bytes:
    """The model with its base score written as older versions read it.

    Since XGBoost 3.1 it is a list in a string. Older versions read "[1.2E-1]" as 0.5 without a
    word, and predictions are wrong; without the brackets all versions read the same.

    Raises:
        ArtifactError: the model has several outputs, which older versions cannot hold.
    """
    model = json.loads(booster.save_raw("json"))
    param = model["learner"]["learner_model_param"]
    base = param["base_score"].strip("[]")
    if "," in base:
        raise ArtifactError(
            f"the ranker has the base scores [{base}], one for each of its outputs, which XGBoost "
            "1.6 cannot read. Train one with a single output."
        )
    param["base_score"] = base
    return json.dumps(model, separators=(",", ":"), sort_keys=True).encode()
