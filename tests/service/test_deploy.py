"""Deployment where the disk, a link or a key stands in the way: in words, and nothing half done."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import MANIFEST, read_manifest, version_of
from feedrank.artifact.signature import VARIABLE, sign
from feedrank.errors import ArtifactError, FeedrankError
from service import deploy as deploying
from service.deploy import deploy, main, roll_back
from service.deployment import switch
from service.deployment.record import RECORD
from service.links import next_path, previous_path
from tests.support.small_artifact import edit_manifest

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture(autouse=True)
def quick_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks without a process apart, which takes a second or two."""
    monkeypatch.setattr(deploying, "prove_once", lambda directory, state: Artifact.load(directory))


@pytest.fixture
def deployed(tmp_path: Path, artifact_path: Path) -> tuple[Path, Path, Path]:
    """A link that served two artifacts of unlike manifests; the second one; and a state."""
    link, state = tmp_path / "live", tmp_path / "state"
    second = Path(shutil.copytree(artifact_path, tmp_path / "second"))
    edit_manifest(second, note="second")
    for artifact in (artifact_path, second):
        deploy(artifact, link, state, wait=1, forced="a test")
    return link, second, state


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.symlink_to"])
def test_a_full_disk_moves_no_link_and_leaves_no_record(
    deployed: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    link, _, state = deployed
    before = (link.resolve(), previous_path(link).resolve())
    record = (link.parent / "versions" / RECORD).read_bytes()
    monkeypatch.setattr(call, full_disk)
    with pytest.raises(FeedrankError, match=r"No space left on device.* Free some space"):
        roll_back(link, state, wait=1)
    assert (link.resolve(), previous_path(link).resolve()) == before
    assert (link.parent / "versions" / RECORD).read_bytes() == record


@pytest.mark.parametrize("error", [ArtifactError("late"), KeyboardInterrupt()])
@pytest.mark.parametrize("full", [False, True])
def test_a_deployment_that_ends_after_its_links_moved_takes_them_back(
    deployed: tuple[Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    full: bool,
) -> None:
    link, second, state = deployed
    third = Path(shutil.copytree(second, second.with_name("third")))
    edit_manifest(third, note="third")
    before, record = _links(link), (link.parent / "versions" / RECORD).read_bytes()

    def end(step: str, *_: Any) -> None:
        if step == "served":
            assert read_manifest(link)["note"] == "third"
            if full:  # by now: no link can be made any more
                monkeypatch.setattr("pathlib.Path.symlink_to", full_disk)
            raise error

    monkeypatch.setattr(switch, "_await_workers", end)
    with pytest.raises(type(error)):
        deploy(third, link, state, wait=1, forced="a test")
    assert _links(link) == before
    assert (link.parent / "versions" / RECORD).read_bytes() == record


def _links(link: Path) -> dict[str, str]:
    """What each link of a folder names."""
    return {p.name: os.readlink(p) for p in link.parent.iterdir() if p.is_symlink()}


def test_a_first_deployment_that_is_interrupted_leaves_no_link(
    tmp_path: Path, artifact_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(step: str, *_: Any) -> None:
        if step == "served":
            raise KeyboardInterrupt

    monkeypatch.setattr(switch, "_await_workers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy(artifact_path, tmp_path / "live", tmp_path / "state", wait=1)
    assert _links(tmp_path / "live") == {}
    assert (tmp_path / "versions" / RECORD).read_bytes() == b""


def test_links_of_one_folder_are_deployed_to_one_after_another(
    deployed: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, second, state = deployed
    record = (link.parent / "versions" / RECORD).read_bytes()
    other = link.with_name("other")

    def meanwhile(*_: Any) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(deploying, "prove_once", lambda *_: None)
        deploy(second, other, state, wait=1, forced="meanwhile")

    monkeypatch.setattr(deploying, "switch", meanwhile)
    with pytest.raises(FeedrankError, match="another process writes beside"):
        roll_back(link, state, wait=1)
    assert not other.is_symlink()
    assert (link.parent / "versions" / RECORD).read_bytes() == record


def test_a_deploy_onto_a_full_disk_is_told_with_its_remedy(
    tmp_path: Path, artifact_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.copyfile", full_disk)
    with pytest.raises(FeedrankError, match=r"No space left .* Free some space .* as they were"):
        deploy(artifact_path, tmp_path / "live", tmp_path / "state", wait=1)


def test_what_was_deployed_without_a_key_is_deployed_again_when_it_is_signed(
    deployed: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, second, state = deployed
    for key in ("one", "another"):
        monkeypatch.setenv(VARIABLE, key)
        sign(second / MANIFEST)
        assert deploy(second, link, state, wait=1) == version_of(second)
        assert read_manifest(link)


def test_links_in_a_circle_and_to_nothing_are_told(
    deployed: tuple[Path, Path, Path], artifact_path: Path
) -> None:
    link, _, state = deployed
    previous_path(link).unlink()
    previous_path(link).symlink_to(previous_path(link).name)
    with pytest.raises(ArtifactError, match="leads in a circle"):
        roll_back(link, state, wait=1)
    previous_path(link).unlink()
    link.unlink()
    link.symlink_to("nowhere")
    deploy(artifact_path, link, state, wait=1)
    assert not previous_path(link).is_symlink()


def test_a_status_of_nothing_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "state"))
    assert main(["--status", "--link", str(tmp_path / "live")]) == 0
    assert "nothing was deployed at" in capsys.readouterr().out


@pytest.mark.parametrize("value", ['"\\ud800"', "1e999", "-1e999"])
def test_a_manifest_that_no_answer_could_hold_is_refused(
    tmp_path: Path, artifact_path: Path, value: str
) -> None:
    copy = Path(shutil.copytree(artifact_path, tmp_path / "copy"))
    text = (copy / MANIFEST).read_text()
    (copy / MANIFEST).write_text(text.replace("{", f'{{"x": {value},', 1))
    with pytest.raises(ArtifactError, match="is not whole"):
        Artifact.load(copy)


def test_names_of_any_bytes_are_written_in_messages_as_escapes(
    tmp_path: Path, artifact_path: Path
) -> None:
    copy = Path(shutil.copytree(artifact_path, tmp_path / "copy"))
    (copy / os.fsdecode(b"\xff\x1b[2J")).touch()
    with pytest.raises(ArtifactError) as refused:
        Artifact.load(copy)
    assert "\\udcff\\x1b[2J" in str(refused.value)
    assert json.dumps({"reason": str(refused.value)}, ensure_ascii=False).encode()


def test_a_link_in_a_circle_is_replaced(deployed: tuple[Path, Path, Path]) -> None:
    link, second, state = deployed
    link.unlink()
    link.symlink_to(link.name)
    assert deploy(second, link, state, wait=1, forced="a test") == version_of(link)


@pytest.mark.parametrize("place", [next_path, previous_path])
def test_a_directory_in_the_place_of_a_link_is_named_before_any_link_moves(
    deployed: tuple[Path, Path, Path], artifact_path: Path, place: Callable[[Path], Path]
) -> None:
    link, _, state = deployed
    before = link.resolve()
    place(link).unlink(missing_ok=True)
    place(link).mkdir()
    with pytest.raises(ArtifactError, match=f"'{place(link)}' is no link"):
        deploy(artifact_path, link, state, wait=1, forced="a test")
    assert link.resolve() == before
