"""The course's second upload: each user's group is the service's, each list that of its model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.checker.second_upload import one_app, write_second_upload
from feedrank.errors import ArtifactError
from service.ab.assignment import Assignment
from tests.support.course.bundles import EVERYTHING
from tests.support.course.environments import PINS, Environment, environments, install
from tests.support.course.requests import draw_requests
from tests.support.simulated_logs import Learned, saved, tasteful

FOLDER = Path(__file__).parents[2] / "tmp" / "checker"


def _artifact(directory: Path, learned: Learned, exclude: str) -> Artifact:
    features, ranker = saved(learned, directory / "made_of")
    params = replace(learned.params.export, exclude=exclude)
    export(directory / "artifact", features, ranker, params, {"metrics": {}}, seed=20, k=5)
    return Artifact.load(directory / "artifact")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Artifact], Path]:
    """Models of users with moments, of which one repeats posts and the other does not."""
    directory = tmp_path_factory.mktemp("second")
    rules = {"control": "nothing", "test": "seen"}
    arms = {arm: _artifact(directory / arm, tasteful(), rule) for arm, rule in rules.items()}
    write_second_upload(directory / "upload", *arms.values(), EVERYTHING)
    return arms, directory / "upload"


def _plays(python: Path, made: tuple[dict[str, Artifact], Path], scratch: Path) -> None:
    arms, upload = made
    shutil.copytree(upload, scratch)
    requests = draw_requests(arms["control"].store, 200)
    (scratch / "play.json").write_text(json.dumps({"requests": requests, "limit": 5}))
    player = [python, "-I", PINS / "play_ab.py", "play.json"]
    done = subprocess.run(player, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assignment, groups = Assignment("feedrank", 0.5), Counter[str]()
    played = json.loads((scratch / "played.json").read_text())
    for (user, moment), (group, posts) in zip(requests, played, strict=True):
        recommend = arms[group].recommender.recommend
        assert group == assignment.arm(user)
        assert posts == [post for post, _ in recommend(user, datetime.fromisoformat(moment), 5)]
        groups[group] += 1
    assert min(groups.values()) > 50


def test_a_fresh_process_answers_each_user_by_the_model_of_the_group(
    made: tuple[dict[str, Artifact], Path], tmp_path: Path
) -> None:
    _plays(Path(sys.executable), made, tmp_path / "empty")


@pytest.mark.slow
@pytest.mark.parametrize("environment", environments(), ids=lambda e: e.name)
def test_it_passes_in_the_environment(
    made: tuple[dict[str, Artifact], Path], environment: Environment, tmp_path: Path
) -> None:
    try:
        python = install(environment, FOLDER)[0]
    except SystemExit as failed:  # an index that cannot be reached says nothing of the upload
        pytest.skip(f"the pins cannot be installed here: {failed}")
    _plays(python, made, tmp_path / "empty")


def test_the_upload_is_three_files_that_name_everything_once(
    made: tuple[dict[str, Artifact], Path],
) -> None:
    assert sorted(p.name for p in made[1].iterdir()) == ["app.py", "model_control", "model_test"]
    compile(one_app(), "app.py", "exec")
    lines = [line for line in one_app().splitlines() if line.startswith(("def ", "class "))]
    assert len(set(lines)) == len(lines) > 6
    assert "feedrank.checker.app" not in one_app().split('"""', 2)[2]


def test_a_model_of_other_ids_is_refused(
    made: tuple[dict[str, Artifact], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, test = made[0].values()
    monkeypatch.setattr(
        "feedrank.checker.second_upload.are_text",
        lambda ids: ids is np.asarray(test.store.catalogue.user_ids),
    )
    with pytest.raises(ArtifactError, match="hold ids of different kinds"):
        write_second_upload(tmp_path / "upload", control, test, EVERYTHING)
    assert not (tmp_path / "upload").exists()
