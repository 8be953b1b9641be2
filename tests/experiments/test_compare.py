from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import FeedrankError
from feedrank.experiments import compare
from feedrank.experiments.revisions import REQUESTS, WORKSPACE, requests_at
from feedrank.validation.results.requests_table import write_requests
from tests.support.request_tables import N, hits_table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC project with two commits: the second one is better."""
    folder = tmp_path_factory.mktemp("committed")
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    shutil.copy(ROOT / "params.yaml", folder)

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, cwd=folder, env=environ)

    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(*git, "init", "-q", "-b", "main")
    run("dvc", "init", "-q")
    for name, gain in (("plain", 0.0), ("better", 0.06)):
        write_requests(folder / REQUESTS, hits_table(gain=gain))
        run("dvc", "add", "-q", str(REQUESTS))
        run(*git, "add", "-A")
        run(*git, "commit", "-qm", name)
        run(*git, "tag", name)
    return folder


@pytest.fixture
def project(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which is the working folder."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    shutil.copytree(committed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_revisions_and_the_working_folder_are_read(project: Path) -> None:
    plain, better = requests_at("plain"), requests_at(WORKSPACE)
    assert plain["feedrank/shown@5"].mean() < better["feedrank/shown@5"].mean()
    pd.testing.assert_frame_equal(requests_at("HEAD"), better)


def test_what_is_not_to_be_had_says_what_to_do(project: Path) -> None:
    with pytest.raises(FeedrankError, match=r"'nowhere' has no .*dvc exp show"):
        requests_at("nowhere")
    shutil.rmtree(project / ".dvc" / "cache")
    with pytest.raises(FeedrankError, match="dvc pull"):
        requests_at("plain")
    REQUESTS.unlink()
    with pytest.raises(FeedrankError, match="Run `dvc repro validate`"):
        requests_at(WORKSPACE)


def test_the_command_speaks_and_its_exit_code_decides(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["plain", "better"]) == 0
    said = capsys.readouterr().out
    assert "B beats A by 0.0" in said
    assert "taken: by expected@5" in said
    assert compare.main(["better", "plain", "--kind", "shown"]) == 1
    assert "refused: by shown@5, A beats B" in capsys.readouterr().out
    assert compare.main(["better", "plain", "--tolerance", "0.2"]) == 0
    capsys.readouterr()
    assert compare.main(["plain", "nowhere"]) == 2
    assert "error: revision 'nowhere'" in capsys.readouterr().err


def test_a_line_and_the_verdict_speak_of_one_tolerance(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_requests(REQUESTS, hits_table(seed=3).assign(list=7))
    assert compare.main(["plain", WORKSPACE, "--kind", "expected", "--tolerance", "0.04"]) == 0
    said = capsys.readouterr().out
    assert len([x for x in said.splitlines() if "equal within 0.04" in x]) == 2
    assert "equal within 0.005" not in said


def test_a_loss_of_either_hit_rate_is_enough(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # `expected` alone is too blunt to see what `shown` is sure of.
    noise = np.random.default_rng(5).normal(0, 20, N).astype(np.float32)
    blunt = hits_table()
    blunt["feedrank/expected@5"] += noise
    write_requests(REQUESTS, blunt)
    assert compare.main(["better", WORKSPACE, "--kind", "expected"]) == 0
    assert compare.main(["better", WORKSPACE]) == 1
    assert "refused: by shown@5, A beats B" in capsys.readouterr().out


def _failed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Message of the command on failing, whether to parse its arguments or to compare."""
    try:
        code: object = compare.main(list(words))
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--tolerance", "x", "must be a finite number of 0 or more, not 'x'"),
        ("--bootstrap", "1.5", "must be a whole number of 100 or more, not '1.5'"),
        ("--kind", "nope", "must be expected or shown or catalogue, not 'nope'"),
        ("--tolerance", "nan", "must be a finite number of 0 or more, not 'nan'"),
        ("--tolerance", "inf", "must be a finite number of 0 or more, not 'inf'"),
        ("--tolerance", "-0.01", "must be a finite number of 0 or more, not '-0.01'"),
        ("--bootstrap", "99", "must be a whole number of 100 or more, not '99'"),
    ],
)
def test_an_option_that_would_decide_by_nothing_is_refused(
    option: str, value: str, words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in _failed(capsys, "plain", "better", option, value)


def test_what_cannot_be_compared_is_never_taken_for_a_worse_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_requests(REQUESTS, hits_table().assign(**{"feedrank/shown@5": np.float32(np.nan)}))
    said = _failed(capsys, "plain", WORKSPACE)
    assert "'shown@5' has a value in both runs in 0 of 900 common requests" in said
    assert compare.main(["plain", WORKSPACE, "--kind", "expected"]) == 0
    assert "without a value in both runs" in capsys.readouterr().out
    write_requests(REQUESTS, pd.concat([hits_table(), hits_table()]))
    assert "run B has 900 requests more than once" in _failed(capsys, "plain", WORKSPACE)
    write_requests(REQUESTS, hits_table().rename(columns=lambda c: c.replace("@5", "@10")))
    assert "A has expected@5, shown@5; B has expected@10" in _failed(capsys, "plain", WORKSPACE)
    write_requests(REQUESTS, hits_table().assign(outcomes=np.uint32(3)))
    assert "the runs are of different logs" in _failed(capsys, "plain", WORKSPACE)
    REQUESTS.write_bytes(b"")
    assert "is not a table of requests" in _failed(capsys, "plain", WORKSPACE)
    REQUESTS.unlink()
    REQUESTS.mkdir()
    assert "Run `dvc repro validate`" in _failed(capsys, "plain", WORKSPACE)


def test_runs_of_another_length_than_the_present_one_are_compared_by_their_own(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = hits_table().rename(columns=lambda c: c.replace("@5", "@10"))
    write_requests(REQUESTS, longer)
    assert compare.main([WORKSPACE, WORKSPACE]) == 0
    assert "taken: by expected@10" in capsys.readouterr().out


def test_what_may_mislead_is_said_loudly(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["plain", "better"]) == 0
    assert "WARNING" not in capsys.readouterr().out
    few = hits_table()[600:].reset_index(drop=True)
    few.loc[:9, "outcomes"] += 1
    write_requests(REQUESTS, few)
    assert compare.main(["plain", WORKSPACE]) == 0
    said = capsys.readouterr().out
    assert "WARNING: only 33% of the requests are in common" in said
    assert "WARNING: other posts were shown or liked in 10 of 300 requests" in said
