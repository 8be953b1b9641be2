"""The daily build: its exit codes, with steps that end at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from feedrank.io.writer_lock import one_writer
from service import daily


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int]:
    """Exit codes of the steps by module; a step that is run notes itself as run."""
    monkeypatch.chdir(tmp_path)
    codes = {"feedrank.checkout.mend": 0, "dvc": 0, "service.deploy": 0}

    def run(_: str, module: str, *words: str) -> int:
        (tmp_path / module).write_text(" ".join(words))
        return codes[module]

    monkeypatch.setattr(daily, "_run", run)
    return codes


def test_a_good_day_builds_and_deploys(steps: dict[str, int]) -> None:
    assert daily.main(["--force", "a try"]) == 0
    assert Path("dvc").read_text() == "repro"
    assert Path("service.deploy").read_text() == "models/artifact --force a try"


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (2, 2)])
def test_the_gate_s_exit_code_is_that_of_the_day(
    steps: dict[str, int], code: int, expected: int
) -> None:
    steps["service.deploy"] = code
    assert daily.main([]) == expected


def test_a_build_that_fails_deploys_nothing(steps: dict[str, int]) -> None:
    steps["dvc"] = 255
    assert daily.main([]) == 1
    assert not Path("service.deploy").exists()


def test_two_days_do_not_overlap(steps: dict[str, int]) -> None:
    with one_writer(daily.LOCK):
        assert daily.main([]) == 3
    assert not Path("dvc").exists()


def test_a_lock_that_cannot_be_made_is_a_failure(steps: dict[str, int]) -> None:
    daily.LOCK.parent.write_text("a file in the place of the folder")
    assert daily.main([]) == 1
    assert not Path("dvc").exists()


def test_a_step_writes_to_stderr_finds_its_python_and_is_asked_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code = "import shutil, sys; print(shutil.which('python'), repr(sys.stdin.read())); sys.exit(3)"
    assert daily._run("-c", code) == 3
    found = capfd.readouterr()
    assert found.out == ""
    assert found.err.split()[0].startswith(str(Path(sys.executable).parent))
    assert found.err.split()[1] == "''"
