from __future__ import annotations

import errno
import shutil
from pathlib import Path
from stat import S_IMODE

import pytest

from feedrank.errors import FeedrankError
from feedrank.io.files import private_directory, replace_directory, state_directory, unwritable


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_directory(tmp_path / "old", tmp_path / "new")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_a_private_directory_is_made_for_its_user_alone_and_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        made = private_directory(tmp_path / "a" / "b")
    assert S_IMODE(made.stat().st_mode) == 0o700


def _open_to_others(path: Path) -> None:
    path.mkdir(mode=0o755)


def _a_link(path: Path) -> None:
    path.with_name("mine").mkdir(mode=0o700)
    path.symlink_to("mine")


@pytest.mark.parametrize("make", [_open_to_others, _a_link])
def test_a_directory_that_others_could_have_written_is_refused(
    tmp_path: Path, make: object
) -> None:
    assert callable(make)
    make(tmp_path / "state")
    with pytest.raises(FeedrankError, match=r"must be a directory of user \d+ alone, mode 700"):
        private_directory(tmp_path / "state")


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = private_directory(tmp_path / "state")
    monkeypatch.setattr("os.getuid", lambda: 4321)
    with pytest.raises(FeedrankError, match=r"of user 4321 alone.* belongs to user \d+"):
        private_directory(directory)


def test_a_file_in_the_place_of_a_private_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(FeedrankError, match=r"state' cannot be used \(.+FEEDRANK_STATE"):
        private_directory(tmp_path / "state")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("FEEDRANK_STATE", raising=False)
    with pytest.raises(FeedrankError, match="Set HOME, or FEEDRANK_STATE"):
        state_directory()


def test_a_private_directory_may_lie_below_one_of_a_group(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    for _ in range(2):
        private_directory(tmp_path / "state")


def test_a_full_disk_is_told_of_a_copy_of_many_files(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    error = shutil.Error([("a", "b", str(full)), ("c", "d", str(full))])
    words = unwritable(error, str(tmp_path))
    assert words is not None
    assert words.startswith(f"cannot be written: No space left on device, at '{tmp_path}'. Free")
    assert unwritable(shutil.Error([("a", "b", "are the same file")]), "") is None
