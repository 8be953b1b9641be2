"""The whole pipeline on a small demo, in a folder of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from feedrank.artifact.artifact import Artifact
from tests.support.checkout import copy_tracked, differences, outputs

ROOT = Path(__file__).parents[1]
SMALL = {"users": 400, "posts": 300, "days": 30}


def _run(folder: Path, *command: str, fails: bool = False, **variables: str) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("FEED", "PYTEST"))}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    environ |= {"FEEDRANK_WORKERS": "1", "GIT_CONFIG_GLOBAL": os.devnull, **variables}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def _git(folder: Path, *words: str) -> str:
    return _run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words)


def _dvc(folder: Path, *words: str, **variables: str) -> str:
    return _run(folder, sys.executable, "-m", "dvc", *words, **variables)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "what a shell; reads & it's"
    copy_tracked(ROOT, folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["demo"] |= SMALL
    params["validate"] |= {"requests": 300, "bootstrap": 200, "folds": 1}
    params["train"]["trees"] = 20
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    _git(folder, "init", "-q", "-b", "main")
    _dvc(folder, "init", "-q")
    _dvc(folder, "config", "core.analytics", "false")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "start")
    _dvc(folder, "repro")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "built")
    return folder


def test_a_run_leaves_an_artifact_that_answers(project: Path) -> None:
    artifact = Artifact.load(project / "models" / "artifact")
    user = int(artifact.store.catalogue.user_ids[0])
    at = artifact.recommender.meta.origin_at
    assert len(artifact.recommender.recommend(user, at, 5)) == 5


def test_a_second_run_does_nothing(project: Path) -> None:
    before = (project / "dvc.lock").read_bytes()
    said = _dvc(project, "repro")
    assert (project / "dvc.lock").read_bytes() == before
    assert re.findall(r"Running stage '(\w+)'", said) == ["source"]


def test_metrics_hold_the_three_hit_rates_and_the_baselines(project: Path) -> None:
    metrics = json.loads((project / "reports" / "metrics.json").read_text())
    assert {"expected", "shown", "catalogue", "n_requests"} <= metrics["hitrate@5"].keys()
    assert {"random", "most_liked", "classic"} <= metrics["baselines@5"].keys()
    assert metrics["demo"]["true"]["random"] < metrics["demo"]["true"]["oracle"]


def test_the_numbers_and_a_feed_are_printed(project: Path) -> None:
    said = _run(project, sys.executable, "-m", "service.show")
    assert "most_liked" in said
    assert len(re.findall(r"^[1-5]\. ", said, re.M)) == 5


def test_a_forced_run_gives_the_same_bytes(project: Path) -> None:
    before = outputs(project / "dvc.lock")
    _dvc(project, "repro", "--force", FEEDRANK_WORKERS="2")
    assert differences(before, outputs(project / "dvc.lock")) == []


def test_a_clone_that_pulls_serves_without_training(project: Path, tmp_path: Path) -> None:
    _dvc(project, "remote", "add", "-f", "-d", "store", str(tmp_path / "store"))
    _dvc(project, "push", "-q")
    _git(project, "commit", "-qam", "remote")
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", str(project), str(clone))

    _dvc(clone, "pull", "-q", "models/artifact")

    assert not (clone / "data").exists() or not (clone / "data" / "rows").exists()
    Artifact.load(clone / "models" / "artifact")


def test_an_experiment_changes_metrics_and_takes_its_ranker_to_the_artifact(project: Path) -> None:
    changes = ("features.clusters=2", "features.refits=1", "train.ranker='again:LikedAgain'")
    _dvc(project, "exp", "run", "-q", *(word for change in changes for word in ("-S", change)))
    said = _dvc(project, "metrics", "diff", "HEAD", "--json")
    manifest = Artifact.load(project / "models" / "artifact").manifest
    refused = (project / "models" / "checker" / "refused.txt").read_text()
    _git(project, "checkout", "-q", ".")
    _dvc(project, "checkout", "-q")
    assert {"expected@5", "shown@5", "auc"} <= json.loads(said)["reports/headline.json"].keys()
    assert manifest["ranker"] == "again:LikedAgain"
    assert "the ranker is 'again:LikedAgain'" in refused


def test_a_stage_that_fails_leaves_the_former_reports(project: Path) -> None:
    before = {p: p.read_bytes() for p in (project / "reports").rglob("*") if p.is_file()}
    command = (sys.executable, "-m", "dvc", "repro", "--force", "--single-item", "validate")
    said = _run(project, *command, fails=True, FEEDRANK_WORKERS="none")
    assert "error: FEEDRANK_WORKERS is 'none'" in said
    assert {p: p.read_bytes() for p in (project / "reports").rglob("*") if p.is_file()} == before


def test_a_bad_parameter_stops_the_run_with_its_name(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("max_depth: 4", "max_depth: 99"))
    said = _run(project, sys.executable, "-m", "stages.train", fails=True)
    (project / "params.yaml").write_text(text)
    assert "error: 'train.max_depth' is 99, but must be" in said
    assert "Traceback" not in said
