"""Metrics, and drift of requests from the artifact's reference."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from feedrank.io.files import private_directory
from feedrank.stats.drift import effective_posts, stability_index
from service.monitoring import metrics
from service.monitoring.drift import Drift
from tests.support.small_artifact import CODE, MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)


def read(client) -> dict[str, float]:
    text = client.get("/metrics").text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_answers_are_counted_by_route_and_outcome(client, user_id):
    before = read(client)

    client.get(PATH, params={"id": user_id, "time": MOMENT})
    client.get(PATH, params={"id": 10**9, "time": MOMENT})
    client.get(PATH, params={"id": "x", "time": MOMENT})
    client.get("/nowhere/at/all")

    after = read(client)
    for outcome in ("ok", "not_found", "invalid"):
        name = f'feedrank_answers_total{{outcome="{outcome}",route="{PATH}"}}'
        assert after[name] - before.get(name, 0) == 1
    other = 'feedrank_answers_total{outcome="not_found",route="other"}'
    assert after[other] - before.get(other, 0) == 1


def test_the_artifact_its_age_and_its_candidates_are_exported(client, artifact, user_id):
    version = client.get("/version").json()["artifacts"][0]["artifact"]
    before = read(client)

    client.get(PATH, params={"id": user_id, "time": MOMENT})

    after = read(client)
    assert after[f'feedrank_artifact_workers{{arm="control",version="{version}"}}'] == 1
    assert after['feedrank_artifact_as_of_seconds{arm="control"}'] > 1.6e9
    n_candidates = after["feedrank_candidates_sum"] - before["feedrank_candidates_sum"]
    assert 5 <= n_candidates < 70  # of 60 that are kept, those that the trees can still lift


def test_users_like_those_of_the_log_do_not_drift_and_others_do(artifact):
    reference_like, only_one_kind = Drift("control", artifact), Drift("control", artifact)
    store = artifact.store
    names = [c.name for c in store.columns]
    per_user = np.diff(store.history.offsets)
    rng = np.random.default_rng(1)
    ranked = artifact.recommender.rank(0, 86_400, 5)
    for user in rng.choice(len(per_user), 1500, p=per_user / per_user.sum()):
        reference_like.observe(store.catalogue.codes[user], ranked)
    age = store.catalogue.codes[:, names.index("age")]
    for user in rng.choice(np.flatnonzero(age == 1), 1500):
        only_one_kind.observe(store.catalogue.codes[user], ranked)

    assert psi(reference_like, "age", len(store.catalogue.post_ids)) < 0.05
    assert psi(only_one_kind, "age", len(store.catalogue.post_ids)) > 1


def psi(drift, column, n_posts):
    drift.publish(n_posts)
    return metrics.DRIFT.labels("control", column)._value.get()


def test_users_who_came_may_be_gone_again_with_the_delta_log(client):
    client.post("/feed", json={"users": [{"id": 10**9, "profile": {"age": 30}}]})
    query = {"id": 10**9, "time": MOMENT}
    wait(lambda: client.get(PATH, params=query).status_code == 200)
    path = client.app.state.inference.deltas.path
    path.rename(path.with_name("away"))
    client.post("/feed", json={})
    wait(lambda: client.get(PATH, params=query).status_code == 404)
    assert client.get("/metrics").status_code == 200


def wait(holds):
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come true"


def test_the_stability_index_is_its_formula():
    counted, expected = np.array([300, 700]), np.array([0.5, 0.5])

    by_hand = (0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5)
    assert stability_index(counted, expected) == pytest.approx(by_hand, rel=0.01)
    assert stability_index(np.array([500, 500]), expected) == 0


def test_the_effective_number_of_posts_does_not_depend_on_the_number_of_lists():
    rng = np.random.default_rng(2)

    few, many = (effective_posts(rng.integers(0, 50, n)) for n in (200, 9000))

    assert few == pytest.approx(50, rel=0.2)
    assert many == pytest.approx(50, rel=0.05)
    assert effective_posts(np.zeros(20, int)) == 1


def test_the_dashboard_asks_for_metrics_that_exist(client, user_id):
    client.get(PATH, params={"id": user_id, "time": MOMENT})
    known = {re.split(r"[{ ]", name)[0] for name in read(client)}
    dashboard = json.loads((CODE / "deploy" / "grafana.json").read_text())

    named = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        for name in re.findall(r"feedrank_\w+", target["expr"])
    }
    assert len(named) > 8
    assert named <= known | {f"{name}_total" for name in known}


def test_no_label_grows_with_what_callers_make_up(client):
    before = len(read(client))
    for number in range(30):
        client.get(f"/nowhere/{number}", headers={"X-Request-ID": f"id-{number}"})
        client.get(PATH, params={"id": 10**9 + number, "time": MOMENT})

    assert len(read(client)) - before < 60


@pytest.fixture
def of_a_parent(tmp_path, monkeypatch):
    """As if this process were one of several workers."""
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv(metrics.MULTIPROCESS, "")
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getpid()))
    return tmp_path / "state" / f"metrics-{os.getpid()}"


def test_workers_take_the_room_of_their_files_in_a_directory_of_their_own(of_a_parent):
    stale = private_directory(of_a_parent.parent) / "metrics-99999999"
    stale.mkdir()

    assert metrics._share_between_workers() is None

    assert os.environ[metrics.MULTIPROCESS] == str(of_a_parent)
    assert of_a_parent.stat().st_mode & 0o777 == 0o700
    files = list(of_a_parent.iterdir())
    assert len(files) == len(metrics.KINDS)
    assert all(f.stat().st_blocks * 512 >= metrics.FILE_BYTES for f in files)  # no hole
    assert not stale.exists()


def test_without_room_a_worker_has_metrics_of_its_own_and_says_so(of_a_parent, monkeypatch, caplog):
    def full(file, start, length):
        os.write(file, b"x")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    reason = metrics._share_between_workers()

    assert metrics.MULTIPROCESS not in os.environ
    assert list(of_a_parent.iterdir()) == []
    monkeypatch.setattr(metrics, "NOT_SHARED", reason)
    metrics.warn_if_not_shared()
    assert "metrics are of one worker alone" in caplog.text
    assert "No space left" in caplog.records[-1].reason


def test_a_worker_whose_directory_was_removed_answers_for_itself_alone(of_a_parent, caplog):
    os.environ[metrics.MULTIPROCESS] = str(of_a_parent)
    for _ in range(2):
        assert b"feedrank_waiting" in metrics.exposition()
    assert [record.getMessage() for record in caplog.records] == ["metrics are of one worker alone"]


def test_a_directory_that_is_open_to_others_is_not_used(of_a_parent):
    of_a_parent.parent.mkdir(mode=0o755)

    assert "mode 755" in metrics._share_between_workers()
    assert metrics.MULTIPROCESS not in os.environ


def test_files_of_every_kind_of_metric_are_taken(of_a_parent):
    modes = {
        f"gauge_{metric._multiprocess_mode}" if metric._type == "gauge" else metric._type
        for metric in metrics.REGISTRY._collector_to_names
    }
    assert modes == set(metrics.KINDS)


def test_workers_that_gunicorn_forks_share_their_metrics(tmp_path):
    code = (
        "from service.monitoring import metrics; metrics.SWAPS.labels('control').inc(); "
        "print(metrics.exposition().decode())"
    )
    variables = {
        **os.environ,
        "SERVER_SOFTWARE": "gunicorn/23.0.0",
        "FEEDRANK_STATE": str(tmp_path),
    }
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=CODE,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]

    assert 'feedrank_swaps_total{arm="control"} 1.0' in told[0]
    assert 'feedrank_swaps_total{arm="control"} 2.0' in told[1]
