"""A whole artifact of a small simulated network, made without a database."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.simulated_log import write_simulated_log
from feedrank import artifact
from feedrank.demo.simulation import Network
from feedrank.knowledge import Knowledge
from feedrank.learn import learn as learn_log
from feedrank.log import Log
from feedrank.params import DemoParams, ExportParams, Params, load_params
from feedrank.ranker import Ranker

SMALL = DemoParams(seed=7, users=400, posts=300, days=30, effect_scale=1.0)
PATH = "/post/recommendations/"
MOMENT = "2021-10-20T18:00:00"
CODE = Path(__file__).parents[1]


def small_params() -> Params:
    """The usual parameters, on a network of seconds rather than minutes."""
    params = load_params(CODE / "params.yaml")
    features = replace(params.features, clusters=6, segments=4, vocabulary=500)
    export = replace(params.export, candidates=60, golden_requests=8)
    return replace(params, demo=SMALL, features=features, export=export)


def write_log(directory: Path, params: Params) -> Log:
    """The log of a simulated network, in a new directory."""
    return write_simulated_log(Network.simulate(params.demo), directory, 2)


def learn(log: Log, params: Params) -> tuple[Knowledge, Ranker]:
    """Knowledge of a log and a ranker trained on all of its rows."""
    knowledge, rows = learn_log(log, params)
    ranker = Ranker.fit(rows.matrix, rows.liked, rows.at, knowledge.features, params.train)
    return knowledge, ranker


def write_artifact(directory: Path, scratch: Path, params: Params) -> Path:
    """A simulated network's artifact in `directory`; `scratch` takes what it is made of."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # category_encoders asks pandas 3 so
        patch.setenv("FEEDRANK_WORKERS", "1")  # starting processes would take most of the time
        knowledge, ranker = learn(write_log(scratch / "log", params), params)
    (scratch / "features").mkdir()
    knowledge.save(scratch / "features")
    ranker.save(scratch / "ranker.ubj")
    export_again(directory, scratch, params.export)
    return directory


def export_again(directory: Path, scratch: Path, params: ExportParams) -> None:
    """Another artifact of what `write_artifact` left in `scratch`."""
    facts = {"metrics": {"hitrate@5/expected": 0.6}, "params": "small", "revision": "unknown"}
    artifact.export(
        directory, scratch / "features", scratch / "ranker.ubj", params, facts, seed=20, k=5
    )
