"""The two files in the course's environment and in today's, wherever such a Python is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.checker import lists_of_the_service, play
from benchmarks.checker_judge import LEAST_EQUAL, compare
from benchmarks.pythons import Environment, environments, install
from feedrank.artifact import Artifact
from tests.bundles import something_to_play, write_small_bundle

FOUND = environments()
# Kept between runs, as `make checker-test` does: installing takes minutes.
FOLDER = Path(__file__).parents[1] / "tmp" / "checker"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    return write_small_bundle(tmp_path_factory.mktemp("made"))


@pytest.mark.slow
@pytest.mark.skipif(not FOUND, reason="no Python from 3.8 to 3.12 is found")
@pytest.mark.parametrize("environment", FOUND, ids=lambda e: e.name)
def test_the_bundle_passes(
    made: tuple[Artifact, Path], environment: Environment, tmp_path: Path
) -> None:
    artifact, directory = made
    given = something_to_play(artifact, 500)
    python, _ = install(environment, FOLDER)

    found = play(python, directory, given, tmp_path / "empty")

    ours = lists_of_the_service(artifact.directory, given["requests"])
    played = compare(artifact, given["requests"], ours, found)
    assert artifact.recommender.ranker.booster.num_boosted_rounds() > 5
    assert found["difference"] <= 1e-6
    assert played.equal >= LEAST_EQUAL
    assert played.n_others == 0
    assert [w for w in found["warnings"] if "app.py" in w or "pydantic" in w.lower()] == []
