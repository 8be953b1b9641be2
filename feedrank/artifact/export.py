"""Export: write the artifact's directory, with its golden requests and its manifest."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from feedrank import __version__
from feedrank.artifact.golden import draw_golden
from feedrank.artifact.manifest import FORMAT, GOLDEN, MANIFEST, REQUESTS
from feedrank.artifact.signature import sign
from feedrank.io.files import sha256_of
from feedrank.io.outputs import new_directory
from feedrank.params import ExportParams
from feedrank.ranking.rankers.by_name import load_ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.catalogue import Catalogue
from feedrank.state.feature_store import FeatureStore

LIBRARIES = ("numpy", "xgboost")  # modules: distributions of XGBoost have several names


def export(
    directory: Path,
    features: Path,
    ranker: Path,
    params: ExportParams,
    facts: dict[str, Any],
    seed: int,
    k: int,
    requests: Path | None = None,
) -> None:
    """Write an artifact, whole or not at all; signed, if FEEDRANK_SIGNING_KEY is set.

    Args:
        directory: of the artifact; a previous one is replaced.
        features: directory of `FeatureStore`.
        ranker: directory of the ranker.
        params: rules of the lists, and number of golden requests.
        facts: added to the manifest: metrics, parameters' hash, code revision.
        seed: of the golden requests.
        k: length of the golden lists.
        requests: table of the hits that validation counted, by which a deployment compares it with
            the live artifact; None: it is compared by its metrics alone.
    """
    with new_directory(directory) as new:
        shutil.copytree(features, new, dirs_exist_ok=True)
        shutil.copytree(ranker, new, dirs_exist_ok=True)
        if requests is not None:
            shutil.copy(requests, new / REQUESTS)
        Catalogue.load(features).as_served().save(new)
        store = FeatureStore.load(new)
        made = load_ranker(new)
        recommender = Recommender(store, made, params.candidates, params.exclude)
        _write_json(new / GOLDEN, draw_golden(recommender, params.golden_requests, seed, k))
        libraries = (*LIBRARIES, *made.libraries)
        manifest = {
            "format": FORMAT,
            "feedrank": __version__,
            "origin": store.meta.origin,
            "as_of": store.meta.moment(store.meta.last_at).isoformat(),
            "step_seconds": store.fitted.step_seconds,
            "ranker": made.name,
            "features": [f.name for f in recommender.features],
            "recommend": asdict(params),
            "log": store.meta.as_json(),
            "libraries": {name: import_module(name).__version__ for name in libraries},
            "files": {p.name: sha256_of(p) for p in sorted(new.iterdir())},
            **facts,
        }
        _write_json(new / MANIFEST, manifest)
        sign(new / MANIFEST)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
