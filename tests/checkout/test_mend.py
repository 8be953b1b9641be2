from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from feedrank.checkout.mend import RUNNING, mend
from feedrank.errors import FeedrankError

WHOLE = """schema: '2.0'
stages:
  train:
    cmd: python -m stages.train
    outs:
    - path: models/ranker.ubj
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with a committed `dvc.lock`."""
    (tmp_path / "dvc.lock").write_text(WHOLE)
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "t"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize("left", [0, 12, 30, WHOLE.index("md5: 01") + 3])
def test_a_lock_that_was_cut_off_is_replaced_by_the_committed_one(folder: Path, left: int) -> None:
    (folder / "dvc.lock").write_text(WHOLE[:left])
    assert ["was cut off" in words for words in mend(folder)] == [True]
    assert (folder / "dvc.lock").read_text() == WHOLE
    assert (folder / ".dvc.lock.unread").read_text() == WHOLE[:left]


def test_a_whole_lock_stays_as_it_is(folder: Path) -> None:
    changed = WHOLE.replace("size: 4", "size: 5")
    (folder / "dvc.lock").write_text(changed)
    assert mend(folder) == []
    assert (folder / "dvc.lock").read_text() == changed


@pytest.mark.parametrize("left", ["", '{"read": {"params.ya'])
def test_a_list_of_running_processes_that_was_cut_off_is_removed(folder: Path, left: str) -> None:
    running = folder / RUNNING
    running.parent.mkdir(parents=True)
    running.write_text(left)
    assert mend(folder) == [
        f"'{RUNNING}' was cut off, as by a kill while DVC wrote it: it is removed."
    ]
    assert not running.exists()


def test_a_whole_list_of_running_processes_stays(folder: Path) -> None:
    running = folder / RUNNING
    running.parent.mkdir(parents=True)
    running.write_text('{"read": {}, "write": {}}')
    assert mend(folder) == []
    assert running.exists()


def test_without_a_committed_lock_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.")
    with pytest.raises(FeedrankError, match=r"git show HEAD:\./dvc\.lock` failed"):
        mend(tmp_path)
