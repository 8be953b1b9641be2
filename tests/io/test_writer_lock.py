from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from feedrank.errors import FeedrankError
from feedrank.io.writer_lock import one_writer
from tests.conftest import ROOT

HOLDER = """
import subprocess, sys
from pathlib import Path
from feedrank.io.writer_lock import one_writer
with one_writer(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.read()
"""
STAGE = """
import sys
from pathlib import Path
from stages.run import run
def main():
    print("wrote", flush=True)
    sys.stdin.read()
run(main)
"""


def _started(script: str, *words: str, folder: Path) -> subprocess.Popen[str]:
    """A process that runs a script until its stdin is closed, once it has said a line."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *words],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_second_stage_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with _started(STAGE, folder=tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "wrote\n"
        with _started(STAGE, folder=tmp_path) as second:
            said, error = second.communicate("")
        assert (second.returncode, said) == (1, "")
        assert f"process {first.pid} on " in error
        assert "wait for its end, or stop it, and run again" in error
        first.communicate("")
    assert first.returncode == 0


def test_a_killed_holder_leaves_no_lock_even_if_its_child_lives(tmp_path: Path) -> None:
    lock = tmp_path / "place" / ".lock"
    with _started(HOLDER, str(lock), folder=tmp_path) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        with pytest.raises(FeedrankError, match=f"process {holder.pid} on .* since .*, `.*-c"):
            one_writer(lock).__enter__()
        holder.kill()
        holder.wait()
        with one_writer(lock):
            assert f"process {os.getpid()} on " in lock.read_text()
        os.kill(child, signal.SIGKILL)
