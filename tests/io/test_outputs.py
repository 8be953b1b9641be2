from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from feedrank.errors import FeedrankError
from feedrank.io.outputs import new_directory, new_outputs
from tests.conftest import ROOT

STAGE = """
import sys
from pathlib import Path
from feedrank.io.outputs import new_outputs
from stages.run import run
log, report = Path("data/log"), Path("reports/data.json")
def main():
    with new_outputs(log, report) as new:
        new[log].mkdir()
        (new[log] / "bucket").write_bytes(bytes(int(sys.argv[1])))
        new[report].write_text("{}")
run(main)
"""


def _mounted(folder: Path, mounts: str, size: int = 1) -> subprocess.CompletedProcess[str]:
    """A stage in a namespace of its own, where small file systems are mounted."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("only root mounts a file system, and only where the kernel lets it")
    script = f'{mounts} && "$@"; code=$?; ls -A data data/log reports >&2; exit $code'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", STAGE, str(size)],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("data/log", "reports"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("disk", ["data", "reports"])
def test_a_folder_may_lie_on_another_disk(folder: Path, disk: str) -> None:
    ended = _mounted(folder, f"mount -t tmpfs none {disk}")
    assert ended.returncode == 0, ended.stderr
    assert "bucket" in ended.stderr
    assert "data.json" in ended.stderr


@pytest.mark.parametrize(
    ("mounts", "size", "words"),
    [
        ("mount -t tmpfs none data/log", 1, "Mount the folder that holds it"),
        (
            "mount -t tmpfs -o size=64k none data",
            1 << 20,
            "No space left on device, at 'data' or",
        ),
        (
            "mount -t tmpfs -o ro none reports",
            1,
            "'reports/.data.json.new'. Mount the file system for",
        ),
        ("mount -t tmpfs -o ro none data", 1, "the lock cannot be written"),
    ],
)
def test_a_disk_that_cannot_be_written_is_named_with_its_remedy(
    folder: Path, mounts: str, size: int, words: str
) -> None:
    ended = _mounted(folder, mounts, size)
    error = next(line for line in ended.stderr.splitlines() if line.startswith("error: "))
    assert ended.returncode == 1
    assert words in error
    assert "All outputs are as they were." in error or "the lock" in error
    assert "bucket" not in ended.stderr


def test_outputs_move_together_at_the_end(tmp_path: Path) -> None:
    log, report = tmp_path / "log", tmp_path / "reports" / "report.json"
    with new_outputs(log, report) as new:
        new[report].write_text("new")
        new[log].mkdir()
        assert not report.exists()
    assert log.is_dir()
    assert report.read_text() == "new"
    assert {p.name for p in tmp_path.iterdir()} == {"log", "reports"}


def _write(*places: Path, fails: type[Exception] | None = None) -> None:
    with new_outputs(*places) as new:
        for path in new.values():
            path.write_text("new")
        if fails:
            raise fails


def test_a_failed_run_leaves_all_outputs_as_they_were(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("former")
    with pytest.raises(ZeroDivisionError):
        _write(first, second, fails=ZeroDivisionError)
    assert first.read_text() == "former"
    assert [p.name for p in tmp_path.iterdir()] == ["first"]


def test_outputs_that_moved_before_an_error_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    whole = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target == second:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(self))
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(FeedrankError, match=r"New are '.*first'; all others are as they were"):
        _write(first, second)


def test_a_directory_that_a_killed_run_set_aside_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".log.previous").mkdir()
    with pytest.raises(ZeroDivisionError), new_directory(tmp_path / "log"):
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


def test_an_error_of_no_disk_is_raised_as_itself(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_outputs(tmp_path / "log"):
        (tmp_path / "absent").read_text()


def test_a_directory_that_is_a_link_is_named_and_a_file_that_is_one_is_replaced(
    tmp_path: Path,
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name, target in (("whole", "elsewhere"), ("dangling", "nowhere")):
        (tmp_path / name).symlink_to(target)
        with (
            pytest.raises(FeedrankError, match=f"{name}' is a link"),
            new_directory(tmp_path / name),
        ):
            pass
    (tmp_path / "elsewhere" / "file").touch()
    (tmp_path / "file").symlink_to("elsewhere/file")
    with new_outputs(tmp_path / "file") as new:
        new[tmp_path / "file"].write_text("new")
    assert not (tmp_path / "file").is_symlink()
