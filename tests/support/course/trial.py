"""Trial: the course's checker played on a bundle, and the same requests to the service."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from service.app import create_app
from service.settings import Settings
from tests.support.course.requests import K, Request

PLAYER = Path(__file__).parents[3] / "deploy" / "checker" / "play.py"
N_ROWS = 2_000  # of features whose probabilities are compared; any number above some hundreds


def play(python: Path, bundle: Path, given: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Run the player in an empty directory that holds the two files and nothing else."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in ("app.py", "model"):
        shutil.copy(bundle / name, scratch)
    (scratch / "play.json").write_text(json.dumps(given))
    done = subprocess.run(
        [python, "-I", PLAYER, "play.json"], cwd=scratch, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"error: the bundle fails under '{python}':\n{done.stderr}")
    return dict(json.loads((scratch / "played.json").read_text()))


def what_to_play(artifact: Artifact, requests: list[Request], seed: int = 20) -> dict[str, Any]:
    """Requests, and rows of features with the probabilities that the service gives them."""
    rng = np.random.default_rng(seed)
    recommender, meta = artifact.recommender, artifact.store.meta
    post = rng.integers(0, meta.n_posts, N_ROWS // 10)
    matrix = np.concatenate(
        [
            recommender.matrix(int(user), int(at), post)
            for user, at in zip(
                rng.integers(0, meta.n_users, 10), rng.integers(0, meta.last_at, 10), strict=True
            )
        ]
    )
    return {
        "requests": requests,
        "limit": K,
        "features": [f.name for f in recommender.features],
        "matrix": matrix.tolist(),
        "probability": recommender.ranker.probability(matrix).tolist(),
    }


def lists_of_the_service(artifact: Path, requests: list[Request]) -> list[list[int]]:
    """Lists of the service in this process, without a socket."""
    with (
        tempfile.TemporaryDirectory() as state,
        TestClient(create_app(_settings(artifact, Path(state)))) as client,
    ):
        answers = [
            client.get("/post/recommendations/", params={"id": i, "time": at, "limit": K})
            for i, at in requests
        ]
    return [[post["id"] for post in answer.json()] for answer in answers]


def _settings(artifact: Path, state: Path) -> Settings:
    """Settings of one artifact without a key, whatever the environment says."""
    return Settings(artifact=artifact, state=state, test_artifact=None, api_key=None)
