"""Checker bundle in the course's environment and in a current one, wherever a Python is found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from feedrank.artifact.artifact import Artifact
from tests.support.course.bundles import something_to_play, write_small_bundle, write_unconverted
from tests.support.course.environments import Environment, environments, install
from tests.support.course.judge import LEAST_EQUAL, compare
from tests.support.course.trial import lists_of_the_service, play

FOUND = environments()
# Kept between runs, as `make checker-test` does: installing takes minutes.
FOLDER = Path(__file__).parents[2] / "tmp" / "checker"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    return write_small_bundle(tmp_path_factory.mktemp("made"))


everywhere = pytest.mark.parametrize("environment", FOUND, ids=lambda e: e.name)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="no Python from 3.8 to 3.12 is found"),
]


def _python_of(environment: Environment) -> Path:
    try:
        return install(environment, FOLDER)[0]
    except SystemExit as failed:  # an index that cannot be reached says nothing of the bundle
        pytest.skip(f"the pins cannot be installed here: {failed}")


@everywhere
def test_the_bundle_passes(
    made: tuple[Artifact, Path], environment: Environment, tmp_path: Path
) -> None:
    artifact, directory = made
    given = something_to_play(artifact, 500)
    python = _python_of(environment)

    found = play(python, directory, given, tmp_path / "empty")

    ours = lists_of_the_service(artifact.directory, given["requests"])
    played = compare(artifact, given["requests"], ours, found)
    assert artifact.recommender.ranker.n_rounds > 5
    assert found["difference"] <= 1e-6
    assert played.equal >= LEAST_EQUAL
    assert played.n_others == 0
    assert [w for w in found["warnings"] if "app.py" in w or "pydantic" in w.lower()] == []


@everywhere
def test_a_ranker_as_today_s_xgboost_writes_it_is_refused(
    made: tuple[Artifact, Path], environment: Environment, tmp_path: Path
) -> None:
    directory = write_unconverted(tmp_path / "unconverted", *made)
    python = _python_of(environment)

    done = subprocess.run(
        [python, "-c", "import app"], cwd=directory, capture_output=True, text=True, check=False
    )

    assert "misreads the ranker of" in done.stderr
