"""Supervisor: an error in one turn of background work does not end the next."""

from __future__ import annotations

import asyncio
import shutil
import time

import pytest
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import version_of
from feedrank.errors import ArtifactError
from service.app import create_app
from service.deployment.switch import point
from service.serving.model_slot import Slot
from service.serving.supervisor import Supervisor
from service.settings import Settings

pytest_plugins = ("tests.support.service_fixtures",)
PATIENCE = 60.0  # seconds; only a broken service takes this long


@pytest.fixture
def versions(tmp_path, artifact_path):
    """Two copies of an artifact, of which the second has a version of its own."""
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        shutil.copytree(artifact_path, directory)
    manifest = second / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    return first, second


def until(holds):
    """Ask again until it holds."""
    give_up_at = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up_at, "it never held"
        time.sleep(0.02)


def test_a_link_to_itself_is_told_and_a_later_artifact_is_still_followed(versions, tmp_path):
    first, second = versions
    link = tmp_path / "live"
    point(link, first)
    settings = Settings(artifact=link, state=tmp_path / "state", poll_seconds=0.1)
    with TestClient(create_app(settings)) as client:
        point(link, link)
        until(lambda: client.get("/ready").json()["failing"] == ["poll_control"])
        exported = client.get("/metrics").text
        point(link, second)
        until(lambda: client.get("/ready").json()["artifact"] == version_of(second))
        until(lambda: client.get("/ready").json()["failing"] == [])

    assert 'feedrank_task_failing{task="poll_control"} 1.0' in exported
    assert 'feedrank_task_errors_total{task="poll_control"}' in exported


def test_a_manifest_that_vanishes_while_it_is_refused_ends_nothing(versions, tmp_path, monkeypatch):
    first, second = versions
    link, bad = tmp_path / "live", shutil.copytree(first, tmp_path / "bad")
    point(link, first)
    slot = Slot("control", link, lambda _: None)
    point(link, bad)
    (bad / "manifest.json").write_text("{}")

    def vanish(directory):
        (directory / "manifest.json").unlink()
        raise ArtifactError("bad")

    with monkeypatch.context() as patch:
        patch.setattr(Artifact, "load", vanish)
        slot.poll()
        slot.poll()
    assert not (bad / "manifest.json").exists()
    point(link, second)
    slot.poll()
    slot.poll()

    assert slot.current.version == version_of(second)


def test_a_reason_is_logged_once_and_its_recovery_too(caplog):
    supervisor = Supervisor()

    async def fail():
        raise RuntimeError("no room")

    async def succeed():
        pass

    with caplog.at_level("INFO", "feedrank.service"):
        done = [asyncio.run(supervisor.turn("beat", job)) for job in (fail, fail, succeed)]

    assert done == [False, False, True]
    assert [r.message for r in caplog.records] == [
        "background task failed",
        "background task recovered",
    ]
    assert caplog.records[0].reason == "RuntimeError: no room"
