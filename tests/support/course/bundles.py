"""A small bundle for the course, and the checker played on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.checker import bundle
from feedrank.checker.bundle import MODEL, write_bundle, write_model
from feedrank.params import CheckerParams
from tests.support.course.requests import draw_requests
from tests.support.course.trial import what_to_play
from tests.support.simulated_logs import Learned, saved, simulated

EVERYTHING = CheckerParams(history_days=None)


def write_artifact(directory: Path, learned: Learned | None = None) -> Artifact:
    """An artifact whose trees matter, in a new directory."""
    learned = learned or simulated()
    features, ranker = saved(learned, directory / "made_of")
    params = learned.params.export
    export(directory / "artifact", features, ranker, params, {"metrics": {}}, seed=20, k=5)
    return Artifact.load(directory / "artifact")


def write_small_bundle(directory: Path) -> tuple[Artifact, Path]:
    """An artifact, and the directory of its two files."""
    artifact = write_artifact(directory)
    write_bundle(directory / "checker", artifact, EVERYTHING)
    return artifact, directory / "checker"


def write_unconverted(directory: Path, artifact: Artifact, converted: Path) -> Path:
    """The same two files, with the ranker as today's XGBoost writes it."""
    shutil.copytree(converted, directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "older_ranker", lambda r, _: r.content)
        write_model(directory / MODEL, artifact, EVERYTHING)
    return directory


def something_to_play(artifact: Artifact, n: int) -> dict[str, Any]:
    """So many requests and some rows."""
    return what_to_play(artifact, draw_requests(artifact.store, n))
