"""A whole artifact of a small simulated network, made without a database."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from feedrank.artifact.export import export
from feedrank.artifact.manifest import MANIFEST
from feedrank.demo.simulation import Network
from feedrank.features.row_pass import training_rows
from feedrank.features.spec import features_of
from feedrank.learning.fit import fit_store
from feedrank.log.files import Log
from feedrank.params import DemoParams, ExportParams, Params, load_params
from feedrank.ranking.rankers.ranker import Ranker
from feedrank.ranking.rankers.xgboost_ranker import FILE
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from tests.support.network.log_files import write_simulated_log
from tests.support.scratch import made_once, scratch

SMALL = DemoParams(kind="course", seed=7, users=400, posts=300, days=30, effect_scale=1.0)
PATH = "/post/recommendations/"
MOMENT = "2021-10-20T18:00:00"
CODE = Path(__file__).parents[2]
LEAD = {"expected": 0.1, "expected_low": 0.05, "expected_high": 0.15}
LEAD |= {"shown": 0.1, "shown_low": 0.08, "shown_high": 0.12}
METRICS: dict[str, Any] = {
    "hitrate@5": {"expected": 0.6, "shown": 0.6},
    "severe": [],
    "headline": "expected",
    "lead@5": {"random": LEAD, "most_liked": LEAD},
}


def small_params() -> Params:
    """The usual parameters, on a network of seconds rather than minutes."""
    params = load_params(CODE / "params.yaml")
    features = replace(params.features, clusters=6, segments=4, vocabulary=500)
    export = replace(params.export, candidates=60, golden_requests=8)
    return replace(params, demo=SMALL, features=features, export=export)


def write_log(directory: Path, params: Params) -> Log:
    """The log of a simulated network, in a new directory."""
    return write_simulated_log(Network.simulate(params.demo), directory, 2)


def fit(log: Log, params: Params) -> tuple[FeatureStore, Ranker]:
    """FeatureStore of a log and a ranker trained on all of its rows."""
    store = fit_store(log, params)
    rows = training_rows(log, store, params)
    return store, fit_ranker(rows, None, features_of(store.fitted), params.train, store)


def write_artifact(directory: Path, scratch: Path, params: Params) -> Path:
    """A simulated network's artifact in `directory`; `scratch` takes what it is made of."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # category_encoders asks pandas 3 so
        patch.setenv("FEEDRANK_WORKERS", "1")  # starting processes would take most of the time
        store, ranker = fit(write_log(scratch / "log", params), params)
    (scratch / "features").mkdir()
    store.save(scratch / "features")
    (scratch / "ranker").mkdir()
    ranker.save(scratch / "ranker")
    export_again(directory, scratch, params.export)
    return directory


@made_once
def small_artifact() -> Path:
    """Folder `artifact`, of the usual small network, in the folder of what it was made of."""
    directory = scratch() / "small"
    directory.mkdir()
    write_artifact(directory / "artifact", directory, small_params())
    return directory


def export_again(directory: Path, scratch: Path, params: ExportParams) -> None:
    """Another artifact of what `write_artifact` left in `scratch`."""
    facts = {"metrics": METRICS, "params": "small", "revision": "unknown"}
    export(directory, scratch / "features", scratch / "ranker", params, facts, seed=20, k=5)


def edit_manifest(directory: Path, **changes: Any) -> None:
    """Change entries of a manifest; None removes one."""
    values = {**json.loads((directory / MANIFEST).read_text()), **changes}
    kept = {key: value for key, value in values.items() if value is not None}
    (directory / MANIFEST).write_text(json.dumps(kept))


def sign_again(directory: Path) -> None:
    """As if every file of the directory had been exported the way it is now."""
    paths = [path for path in sorted(directory.iterdir()) if path.name != MANIFEST]
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.is_file()}
    edit_manifest(directory, files=files)


def kill_its_reader(directory: Path) -> None:
    """Change the ranker so that XGBoost reads it, and ends that process; every sha256 fits."""
    path = directory / FILE
    model = json.loads(path.read_text())
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]  # one: threads read them
    for values in tree.values():  # nodes that no row comes to
        if isinstance(values, list) and values:
            values += values[-1:] * 10_000
    tree["tree_param"] |= {"num_nodes": str(len(tree["parents"])), "size_leaf_vector": "1000000"}
    path.write_text(json.dumps(model))
    sign_again(directory)
