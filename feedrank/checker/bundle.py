"""Checker bundle: `app.py`, and `model`, a zip that Python imports from."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import feedrank
from feedrank.artifact.artifact import Artifact
from feedrank.artifact.golden import answered
from feedrank.checker.model import ABOUT, GOLDEN, PROBE, RANKER, STORE, Model, Probe
from feedrank.checker.truncated_history import truncated
from feedrank.checker.xgboost_1_6 import older_ranker
from feedrank.errors import ArtifactError
from feedrank.io.outputs import new_directory
from feedrank.params import CheckerParams
from feedrank.ranking.rankers.ranker import Ranker
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.ranking.recommender import Recommender
from feedrank.state.catalogue import Catalogue, are_text

APP, MODEL = "app.py", "model"
GOLDEN_REQUESTS = 8  # of the artifact's; they share four moments, each 40 to 70 ms of the load
PROBE_POSTS = 64  # of each golden request: 512 rows; a wrong base score shows in every row
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date of a zip: bytes must not depend on the clock
REFUSED = "refused.txt"
CODE = Path(feedrank.__file__).parents[1]


def write_bundle(directory: Path, artifact: Artifact, params: CheckerParams) -> None:
    """Write `app.py` and `model`, whole or not at all, and load them as the checker does.

    Of a ranker that the course's environment cannot run, `refused.txt` says so in their place.

    Args:
        directory: of the two files; previous ones are replaced.
        artifact: that answers.
        params: days of history that are kept.

    Raises:
        ArtifactError: the ranker for older readers differs from the artifact's on a probe.
    """
    with new_directory(directory) as new:
        if not isinstance(artifact.recommender.ranker, XGBoostRanker):
            (new / REFUSED).write_text(f"{_refusal(artifact.recommender.ranker)}\n")
            return
        (new / APP).write_text(app_for(artifact.store.catalogue))
        write_model(new / MODEL, artifact, params)
        Model.load(str(new / MODEL))


def _refusal(ranker: Ranker) -> str:
    return (
        f"the checker's environment has XGBoost alone, and the ranker is '{ranker.name}'. Set "
        "'train.ranker' to xgboost for these two files."
    )


def app_for(catalogue: Catalogue, app: str | None = None) -> str:
    """The course's app; where ids are text, with `id: str` in place of `id: int`."""
    app = Path(__file__).with_name(APP).read_text() if app is None else app
    of_user, of_post = ("id: int, time", "user_id: int)"), ("    id: int\n",)
    for words, ids in ((of_user, catalogue.user_ids), (of_post, catalogue.post_ids)):
        for word in words if are_text(ids) else ():
            app = app.replace(word, word.replace("int", "str"))
    return app


def write_model(path: Path, artifact: Artifact, params: CheckerParams) -> None:
    """Write the file `model`; raises `ArtifactError` for another ranker than XGBoost."""
    ranker, recommend = artifact.recommender.ranker, artifact.manifest["recommend"]
    if not isinstance(ranker, XGBoostRanker):
        raise ArtifactError(_refusal(ranker))
    rules = {name: recommend[name] for name in ("candidates", "exclude")}
    store = truncated(artifact.store, params.history_days)
    recommender = Recommender(store, ranker, **rules)
    golden = [
        answered(recommender, request["user"], request["at"], len(request["post"]))
        for request in artifact.golden[:: max(1, len(artifact.golden) // GOLDEN_REQUESTS)]
    ]
    probe = Probe.of(ranker, probe_rows(recommender, golden))
    about = {
        "rules": rules,
        "history_days": params.history_days,
        **{name: artifact.manifest[name] for name in ("as_of", "libraries", "log")},
    }
    with zipfile.ZipFile(path, "w") as archive, TemporaryDirectory() as scratch:
        for module in serving_modules():
            _add(archive, module.relative_to(CODE).as_posix(), module.read_bytes())
        store.save(Path(scratch))
        for file in sorted(Path(scratch).iterdir()):
            _add(archive, f"{STORE}/{file.name}", file.read_bytes())
        _add(archive, RANKER, older_ranker(ranker, probe))
        for name in PROBE:
            _add(archive, f"probe_{name}.npy", _npy(getattr(probe, name)))
        _add(archive, GOLDEN, _json(golden))
        _add(archive, ABOUT, _json(about))


@cache
def serving_modules() -> tuple[Path, ...]:
    """Modules of the library that a fresh process imports to load a model."""
    code = (
        "import sys, feedrank.checker.model\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'feedrank'),"
        " sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CODE, capture_output=True, text=True, check=True
    )
    return tuple(sorted(Path(line) for line in done.stdout.splitlines()))


def probe_rows(recommender: Recommender, golden: list[dict[str, Any]]) -> np.ndarray:
    """Features of some posts for each golden request, float32, shape (n, n_features)."""
    n_posts = recommender.meta.n_posts
    stride = max(1, n_posts // PROBE_POSTS)
    rows = []
    for i, request in enumerate(golden):
        post = np.arange(i % stride, n_posts, stride)
        rows.append(recommender.matrix(request["user"], request["at"], post))
    return np.concatenate(rows)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
