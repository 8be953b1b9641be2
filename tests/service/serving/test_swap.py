"""Hot swap: a new artifact is checked beside the running one, and served whole or refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import version_of
from feedrank.artifact.proof import UnprovedError
from feedrank.errors import ArtifactError, FeedrankError
from service import deploy as deploying
from service.deploy import deploy, main, roll_back
from service.deployment import switch
from service.deployment.switch import point
from service.links import next_path, previous_path
from service.serving.background import worker_state
from service.serving.model_slot import Slot
from service.serving.worker_registry import Registration, WorkerState, live_workers
from tests.support.small_artifact import export_again, small_params

pytest_plugins = ("tests.support.service_fixtures",)
pytestmark = pytest.mark.usefixtures("quick_proof")


@pytest.fixture(scope="session")
def newer_path(small_artifact_files):
    """An artifact that answers otherwise: it ranks two candidates only."""
    _, scratch = small_artifact_files
    params = replace(small_params().export, candidates=2)
    export_again(scratch / "newer", scratch, params)
    return scratch / "newer"


@pytest.fixture
def link(tmp_path, artifact_path):
    """The path that a service serves: a link to a copy of the artifact."""
    shutil.copytree(artifact_path, tmp_path / "versions" / "first")
    point(tmp_path / "live", tmp_path / "versions" / "first")
    return tmp_path / "live"


def check(directory, state=None):
    """Stands for the proof in a process apart, which takes a second or two."""
    Artifact.load(directory)


@pytest.fixture
def quick_proof(monkeypatch):
    monkeypatch.setattr(deploying, "prove_once", check)


def poll_twice(slot):
    slot.poll()
    slot.poll()


def spoil(directory: Path) -> None:
    """Change one stored answer and its sha256, so that only the golden requests can tell."""
    golden = json.loads((directory / "golden.json").read_text())
    golden[0]["probability"][0] += 0.01
    (directory / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((directory / "manifest.json").read_text())
    digest = hashlib.sha256((directory / "golden.json").read_bytes()).hexdigest()
    manifest["files"]["golden.json"] = digest
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_a_moved_link_brings_the_new_artifact(link, newer_path):
    slot = Slot("control", link, check)
    point(link, newer_path)

    swaps = [slot.poll(), slot.poll(), slot.poll()]

    assert swaps == [False, True, False]
    assert (slot.current.version, slot.refused) == (version_of(newer_path), None)


def test_an_artifact_that_was_taken_before_a_swap_answers_as_before(link, newer_path):
    slot = Slot("control", link, check)
    taken = slot.current
    before = taken.artifact.recommender.rank(3, 86_400, 5)
    point(link, newer_path)

    poll_twice(slot)

    assert slot.current is not taken
    after = taken.artifact.recommender.rank(3, 86_400, 5)
    assert after.post.tolist() == before.post.tolist()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (spoil, "was stored at export"),
        (lambda d: (d / "history_post.npy").unlink(), "is missing"),
        (lambda d: (d / "text_blob.npy").write_bytes(b"x"), "sha256 differs"),
        (lambda d: (d / "manifest.json").write_text("{"), "is not whole"),
        (lambda d: (d / "manifest.json").write_text('{"format": 99}'), "format 99"),
    ],
)
def test_a_bad_artifact_is_refused_and_the_old_one_goes_on(link, newer_path, tmp_path, harm, says):
    slot = Slot("control", link, check)
    good = slot.current
    bad = shutil.copytree(newer_path, tmp_path / "bad")
    harm(bad)
    point(link, bad)

    poll_twice(slot)
    refused = slot.refused
    slot.poll()

    assert slot.current is good
    assert says in refused.reason
    assert slot.refused is refused  # once, not at every poll


def test_an_artifact_that_could_not_be_proved_is_tried_again_with_growing_waits(
    tmp_path, artifact_path, newer_path
):
    now, tried = [datetime(2021, 12, 30, tzinfo=UTC)], []

    def prove(_):
        tried.append((now[0] - datetime(2021, 12, 30, tzinfo=UTC)).total_seconds())
        if len(tried) < 4:
            raise UnprovedError("the process that does it ended")

    shutil.copytree(artifact_path, tmp_path / "artifact")
    slot = Slot("control", tmp_path / "artifact", prove, clock=lambda: now[0])
    shutil.rmtree(tmp_path / "artifact")
    shutil.copytree(newer_path, tmp_path / "artifact")
    slot.poll()
    while len(tried) < 4:
        slot.poll()
        assert slot.current.version == version_of(newer_path) or "ended" in slot.refused.reason
        now[0] += timedelta(seconds=1)

    assert tried == [0, 5, 15, 35]
    assert (slot.current.version, slot.refused) == (version_of(newer_path), None)


def test_files_that_still_change_are_not_touched(link, newer_path):
    slot = Slot("control", link, check)
    point(link, newer_path)

    slot.poll()

    assert slot.current.version != version_of(newer_path)


def test_a_plain_directory_that_was_replaced_is_served(tmp_path, artifact_path, newer_path):
    shutil.copytree(artifact_path, tmp_path / "artifact")
    slot = Slot("control", tmp_path / "artifact", check)
    shutil.rmtree(tmp_path / "artifact")
    slot.poll()  # in the middle of the replacement
    shutil.copytree(newer_path, tmp_path / "artifact")

    poll_twice(slot)

    assert slot.current.version == version_of(newer_path)


def test_a_prepared_artifact_does_not_answer_until_the_link_moves(link, newer_path):
    slot = Slot("control", link, check)
    first = slot.current
    point(next_path(link), newer_path)
    poll_twice(slot)
    assert (slot.current, slot.prepared.version) == (first, version_of(newer_path))
    prepared = slot.prepared

    point(link, newer_path)
    slot.poll()

    assert slot.current is prepared  # at once: it was loaded already


def test_deploying_without_workers_moves_the_link_for_the_next_start(link, newer_path, tmp_path):
    version = deploy(newer_path, link, tmp_path / "state", wait=1)

    assert version_of(link) == version == version_of(newer_path)
    assert version_of(previous_path(link)) != version
    assert not next_path(link).is_symlink()


def test_rolling_back_is_one_command_and_going_forward_another(link, newer_path, tmp_path):
    first = version_of(link)
    newer = deploy(newer_path, link, tmp_path / "state", wait=1)

    assert roll_back(link, tmp_path / "state", wait=1) == first == version_of(link)
    assert roll_back(link, tmp_path / "state", wait=1) == newer == version_of(link)


def test_a_bad_artifact_is_not_deployed(link, newer_path, tmp_path):
    first = version_of(link)
    bad = shutil.copytree(newer_path, tmp_path / "bad")
    spoil(bad)

    with pytest.raises(ArtifactError, match="was stored at export"):
        deploy(bad, link, tmp_path / "state", wait=1)

    assert version_of(link) == first


def test_all_workers_prepare_before_any_serves(link, newer_path, tmp_path, monkeypatch):
    slots = [Slot("control", link, check), Slot("control", link, check)]
    registrations = [Registration(tmp_path / "state", link) for _ in slots]
    served = []

    def both_poll(_):
        for slot, registration in zip(slots, registrations, strict=True):
            slot.poll()
            registration.update(worker_state(slot))
            served.append((slot.current.version, all(s.prepared for s in slots)))

    both_poll(None)
    served.clear()
    monkeypatch.setattr(switch, "sleep", both_poll)

    newer = deploy(newer_path, link, tmp_path / "state", wait=60)

    assert {r.version for r in live_workers(tmp_path / "state", link)} == {newer}
    swaps = [was_prepared for version, was_prepared in served if version == newer]
    assert swaps[0]


def with_metrics(directory: Path, copy: Path, **changes: object) -> Path:
    """A copy of an artifact whose manifest holds other metrics."""
    shutil.copytree(directory, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["metrics"] |= changes
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


def test_nothing_bad_goes_live_unless_forced_with_words_that_are_kept(
    link, newer_path, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FEEDRANK_ARTIFACT", str(link))
    first = version_of(link)
    bad = with_metrics(newer_path, tmp_path / "bad", severe=["Only 3 impressions were liked."])

    assert main([str(bad), "--force="]) == main([str(bad), "--force= "]) == 2
    told = capsys.readouterr().err
    assert "whose ranker is 'xgboost', is refused. Only 3 impressions were liked." in told
    assert "make deploy FORCE=" in told
    assert version_of(link) == first

    assert main([str(bad), "--force", "a first look"]) == 0
    (line,) = (tmp_path / "versions" / "deployments.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["forced"], found["overruled"]) == (
        "a first look",
        ["Only 3 impressions were liked."],
    )
    assert (found["previous"], found["version"]) == (first, version_of(bad))
    assert found["ranker"] == "xgboost"


def test_the_first_deployment_is_made_once(
    newer_path, artifact_path, tmp_path, monkeypatch, capsys
):
    link = tmp_path / "models" / "live"
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FEEDRANK_ARTIFACT", str(link))

    assert main([str(artifact_path), "--first"]) == 0
    assert f"nothing was deployed yet: '{link}' is made from" in capsys.readouterr().out
    assert main([str(newer_path), "--first"]) == 0
    assert version_of(link) == version_of(artifact_path)


def test_an_experiment_that_replaces_or_spoils_its_artifact_touches_nothing_that_is_served(
    artifact_path, newer_path, tmp_path
):
    built, link = tmp_path / "models" / "artifact", tmp_path / "models" / "live"
    shutil.copytree(artifact_path, built)
    version = deploy(built, link, tmp_path / "state", wait=1)
    slot = Slot("control", link, check)

    for file in built.iterdir():
        file.write_bytes(b"spoilt")  # in place, as no stage would: a link to these files would show
    shutil.rmtree(built)
    shutil.copytree(newer_path, built)
    poll_twice(slot)

    assert slot.current.version == version_of(link) == version
    assert Artifact.load(link)


def test_one_worker_that_refuses_keeps_all_on_the_previous(link, newer_path, tmp_path):
    first, newer = version_of(link), version_of(newer_path)
    Registration(tmp_path / "state", link).update(WorkerState(1, first, prepared=newer))
    Registration(tmp_path / "state", link).update(
        WorkerState(2, first, refused=newer, reason="no room")
    )

    with pytest.raises(ArtifactError, match=r"worker 2 refuses .*no room"):
        deploy(newer_path, link, tmp_path / "state", wait=1)

    assert version_of(link) == first
    assert not next_path(link).is_symlink()


def test_a_worker_that_does_not_follow_keeps_all_on_the_previous(link, newer_path, tmp_path):
    first = version_of(link)
    Registration(tmp_path / "state", link).update(WorkerState(1, first))

    with pytest.raises(ArtifactError, match=r"workers \[1\] have not prepared"):
        deploy(newer_path, link, tmp_path / "state", wait=0)

    assert version_of(link) == first


def test_a_directory_is_never_deployed_over(artifact_path, newer_path, tmp_path, capsys):
    state = str(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEEDRANK_STATE", state)
        code = main([str(newer_path), "--link", str(artifact_path)])

    assert code == 1
    assert "is a directory, and only a link can move" in capsys.readouterr().err
    assert Artifact.load(artifact_path)


def test_the_command_says_what_is_served(link, newer_path, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FEEDRANK_ARTIFACT", str(link))

    assert main([str(newer_path)]) == 0
    assert main(["--status"]) == 0
    assert main(["--rollback"]) == 0

    told = capsys.readouterr().out
    assert f"{version_of(newer_path)} will be served by the next start" in told
    assert f"{link}.previous ->" in told


def test_a_new_artifact_is_warm_before_it_answers(link, newer_path):
    slot = Slot("control", link, check)
    point(link, newer_path)
    poll_twice(slot)

    derived = set(slot.current.artifact.recommender._shared._kept)

    n_steps = slot.current.artifact.store.shared.n_steps
    assert derived == set(range(n_steps + 1))


def damaged_copy_of(link, newer_path, state):
    """Deploys twice, then changes a byte of the copy that was served first."""
    deploy(newer_path, link, state, wait=1)
    kept = previous_path(link).resolve()
    content = bytearray((kept / "history_post.npy").read_bytes())
    content[-1] ^= 1
    (kept / "history_post.npy").write_bytes(content)
    return kept


def test_a_kept_copy_that_was_changed_is_not_rolled_back_to(link, newer_path, tmp_path):
    kept = damaged_copy_of(link, newer_path, tmp_path / "state")

    with pytest.raises(ArtifactError, match=r"kept copy is not what was deployed.*sha256 differs"):
        roll_back(link, tmp_path / "state", wait=1)

    assert link.resolve() != kept


def test_a_kept_copy_that_was_changed_is_not_deployed_again(link, newer_path, tmp_path):
    home = tmp_path / "versions" / version_of(newer_path)
    shutil.copytree(newer_path, home)
    (home / "history_post.npy").write_bytes(b"")

    with pytest.raises(ArtifactError, match=f"Or remove '{home}' and deploy again"):
        deploy(newer_path, link, tmp_path / "state", wait=1)

    assert version_of(link) != version_of(newer_path)


def test_a_second_deploy_at_once_is_told_of_the_first(link, newer_path, tmp_path, monkeypatch):
    def deploy_meanwhile(directory, state):
        with pytest.raises(FeedrankError, match=f"writes beside .*: process {os.getpid()} on"):
            roll_back(link, state, wait=1)

    monkeypatch.setattr(deploying, "prove_once", deploy_meanwhile)

    deploy(newer_path, link, tmp_path / "state", wait=1)

    assert version_of(link) == version_of(newer_path)


def pipe_for_a_manifest(directory):
    (directory / "manifest.json").unlink()
    os.mkfifo(directory / "manifest.json")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (pipe_for_a_manifest, "is no plain file"),
        (lambda d: (d / "x").symlink_to("nowhere"), "x' is a link"),
        (lambda d: (d / "manifest.json").write_text("[1]"), "is not whole"),
    ],
)
def test_an_odd_directory_is_refused_once_in_words(link, newer_path, tmp_path, harm, says):
    slot = Slot("control", link, check)
    bad = shutil.copytree(newer_path, tmp_path / "bad")
    harm(bad)
    point(link, bad)

    poll_twice(slot)
    refused = slot.refused
    slot.poll()

    assert says in refused.reason
    assert slot.refused is refused


def test_a_new_artifact_is_proved_before_this_process_loads_it(link, newer_path):
    def crashes(directory):
        assert directory == newer_path
        raise ArtifactError("ended the process that loaded it (SIGSEGV)")

    slot = Slot("control", link, crashes)
    before = slot.current
    point(link, newer_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Artifact, "load", lambda _: pytest.fail("loaded before it was proved"))
        poll_twice(slot)

    assert slot.current is before
    assert "SIGSEGV" in slot.refused.reason


def test_a_worker_that_died_before_the_clock_was_set_back_is_not_alive(tmp_path):
    Registration(tmp_path, tmp_path / "live").update(WorkerState(1, "version"))
    (entry,) = tmp_path.rglob("*.json")

    assert len(live_workers(tmp_path, tmp_path / "live")) == 1
    later = entry.stat().st_mtime + 3600
    os.utime(entry, (later, later))

    assert live_workers(tmp_path, tmp_path / "live") == []


def test_a_worker_whose_directory_was_removed_registers_again(tmp_path):
    state, worker = tmp_path / "state", WorkerState(1, "version")
    registration = Registration(state, tmp_path / "live")
    registration.update(worker)
    shutil.rmtree(state)
    registration.beat()
    registration.update(worker)

    assert live_workers(state, tmp_path / "live") == [worker]
