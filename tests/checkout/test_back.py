from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feedrank.checkout.back import go_back
from feedrank.errors import FeedrankError

PIPELINE = """
stages:
  copy:
    cmd: mkdir -p data reports && cp params.yaml data/out && cp params.yaml reports/words.txt
    deps: [params.yaml]
    outs:
      - data/out
      - reports/words.txt:
          cache: false
"""


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _dvc(folder: Path, *words: str) -> None:
    _run(folder, sys.executable, "-m", "dvc", *words)


def _commit(folder: Path) -> None:
    _run(folder, "git", "add", "-A")
    _run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "t")


def _change(folder: Path, words: str) -> None:
    (folder / "params.yaml").write_text(words)
    _dvc(folder, "repro", "-q")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of a pipeline of one stage, run and committed."""
    made = tmp_path_factory.mktemp("committed")
    _run(made, "git", "init", "-q")
    _dvc(made, "init", "-q")
    (made / "dvc.yaml").write_text(PIPELINE)
    (made / ".gitignore").write_text("/data/\n")
    _change(made, "k: 1\n")
    _commit(made)
    return made


@pytest.fixture
def folder(committed: Path, tmp_path: Path) -> Path:
    """A copy of the checkout."""
    shutil.copytree(committed, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _state(folder: Path) -> list[str]:
    names = ("params.yaml", "dvc.lock", "data/out", "reports/words.txt")
    return [(folder / name).read_text() for name in names]


def test_back_restores_what_an_experiment_changed(folder: Path) -> None:
    before = _state(folder)
    _change(folder, "k: 2\n")
    _dvc(folder, "exp", "save", "-n", "two")
    go_back(folder, discard=False)
    assert _state(folder) == before


def test_back_refuses_to_lose_a_run_that_nothing_holds(folder: Path) -> None:
    before = _state(folder)
    _change(folder, "k: 2\n")
    changed = _state(folder)
    with pytest.raises(FeedrankError, match=r"dvc.lock, params.yaml, reports/words.txt: in no com"):
        go_back(folder, discard=False)
    assert _state(folder) == changed
    go_back(folder, discard=True)
    assert _state(folder) == before


def test_back_refuses_to_lose_an_output_that_dvc_never_took(folder: Path) -> None:
    (folder / "data" / "out").unlink()
    (folder / "data" / "out").write_text("of a run that was killed")
    with pytest.raises(FeedrankError, match=r"- data/out: newer than 'dvc.lock'"):
        go_back(folder, discard=False)
    assert (folder / "data" / "out").read_text() == "of a run that was killed"


def test_back_refuses_to_empty_a_place_whose_committed_version_is_gone(folder: Path) -> None:
    _change(folder, "k: 2\n")
    _dvc(folder, "exp", "save", "-n", "two")
    _dvc(folder, "gc", "-w", "-f", "-q")  # as on a machine that never ran the committed version
    with pytest.raises(FeedrankError, match=r"- data/out: the committed version is not in DVC's"):
        go_back(folder, discard=False)
    assert (folder / "data" / "out").read_text() == "k: 2\n"


def test_back_refuses_to_lose_work_in_a_folder_of_a_larger_checkout(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    _run(tmp_path, "git", "init", "-q")
    _dvc(folder, "init", "-q", "--subdir")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / ".gitignore").write_text("/data/\n")
    _change(folder, "k: 1\n")
    _commit(tmp_path)
    (folder / "params.yaml").write_text("k: 2\n")
    with pytest.raises(FeedrankError, match=r"- params.yaml: in no commit"):
        go_back(folder, discard=False)
    assert (folder / "params.yaml").read_text() == "k: 2\n"


def test_back_refuses_to_lose_what_is_only_staged(folder: Path) -> None:
    (folder / "params.yaml").write_text("k: 2\n")
    _run(folder, "git", "add", "params.yaml")
    (folder / "params.yaml").write_text("k: 1\n")
    with pytest.raises(FeedrankError, match=r"- params.yaml: in no commit"):
        go_back(folder, discard=False)


def test_back_refuses_to_lose_what_git_was_told_to_overlook(folder: Path) -> None:
    _run(folder, "git", "update-index", "--assume-unchanged", "params.yaml")
    (folder / "params.yaml").write_text("k: 2\n")
    with pytest.raises(FeedrankError, match=r"- params.yaml: in no commit"):
        go_back(folder, discard=False)
    assert (folder / "params.yaml").read_text() == "k: 2\n"


def test_back_mends_a_lock_that_was_cut_off(folder: Path) -> None:
    whole = (folder / "dvc.lock").read_text()
    (folder / "dvc.lock").write_text(whole[:12])
    go_back(folder, discard=False)
    assert (folder / "dvc.lock").read_text() == whole
