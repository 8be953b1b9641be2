"""Lists whose places explore, from the route to the exposure log."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from feedrank.batch import __main__ as batch
from feedrank.log.exposures import read_exposures
from service.app import create_app
from service.settings import Settings
from tests.support.small_artifact import MOMENT, PATH, export_again, small_params

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture(scope="module")
def exploring(small_artifact_files, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exploring") / "artifact"
    export_again(directory, small_artifact_files[1], replace(small_params().export, explore=0.3))
    return directory


@pytest.fixture
def app(exploring, tmp_path):
    return create_app(
        Settings(artifact=exploring, state=tmp_path / "state", exposures=tmp_path / "exposures")
    )


def test_every_place_has_its_propensity_in_the_exposure_log(app, exploring, tmp_path):
    artifact = Artifact.load(exploring)
    ids = artifact.store.catalogue.user_ids.tolist()[:60]
    with TestClient(app) as client:
        lists = client.post(PATH, json={"ids": ids, "time": MOMENT}).json()["lists"]
        again = [client.get(PATH, params={"id": one, "time": MOMENT}).json() for one in ids[:10]]
        app.state.inference.exposures.write()

    exposures = list(read_exposures(tmp_path / "exposures"))
    assert [e.posts for e in exposures[:60]] == [
        [post["id"] for post in one["recommendations"]] for one in lists
    ]
    assert again == [one["recommendations"] for one in lists[:10]]
    assert [e.slots for e in exposures[60:]] == [e.slots for e in exposures[:10]]
    at = artifact.store.meta.seconds(exposures[0].at)
    rows = np.array([artifact.store.catalogue.user(user) for user in ids])
    for exposure, ranked in zip(exposures, artifact.explorer.rank_many(rows, at, 5), strict=False):
        assert exposure.slots == pytest.approx(ranked.propensity.tolist(), rel=1e-5)
        assert exposure.policy == f"{artifact.version} explore 0.3"
    slots = np.array([e.slots for e in exposures[:60]])
    assert (slots[:, :3] == 1).all()  # five places of which 1.5 explore
    assert (slots[:, 3:] < 1).all()
    assert (slots > 0).all()


def test_an_explanation_says_which_places_explore_and_the_list_has_no_more_fields(app, exploring):
    artifact = Artifact.load(exploring)
    ids = artifact.store.catalogue.user_ids.tolist()[:20]
    n_explored = []
    with TestClient(app) as client:
        for user in ids:
            query = {"id": user, "time": MOMENT}
            plain = client.get(PATH, params=query).json()
            explained = client.get(f"{PATH}explain", params=query).json()["recommendations"]
            page = client.get("/feed", params=query).json()["recommendations"]
            assert [list(post) for post in plain] == [["id", "text", "topic"]] * 5
            assert [post["id"] for post in explained] == [post["id"] for post in plain]
            explores = [post["explores"] for post in explained]
            assert explores == [post["explores"] for post in page] == sorted(explores)
            n_explored.append(sum(explores))
    assert set(n_explored) == {1, 2}


def test_a_post_that_is_left_out_is_not_drawn(app, exploring):
    artifact = Artifact.load(exploring)
    user, *left = artifact.store.catalogue.post_ids.tolist()[:101]
    user = int(artifact.store.catalogue.user_ids[7])
    with TestClient(app) as client:
        for second in range(20):
            query = {"id": user, "time": f"2021-10-20T18:00:{second:02}", "limit": 10}
            listed = client.get(PATH, params={**query, "exclude": left}).json()
            assert not {post["id"] for post in listed} & set(left)


def test_a_batch_holds_the_lists_of_the_service(app, exploring, tmp_path, monkeypatch):
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "other"))
    out = tmp_path / "lists.parquet"
    command = ["batch", "--artifact", str(exploring), "--at", MOMENT, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    assert batch.main() == 0
    table = pq.read_table(out).to_pandas()
    with TestClient(app) as client:
        for user in table["user_id"].unique()[::20].tolist():
            served = client.get(PATH, params={"id": user, "time": MOMENT}).json()
            own = table.loc[table["user_id"] == user, "post_id"]
            assert own.tolist() == [post["id"] for post in served]


def test_without_a_share_every_propensity_is_one(settings, tmp_path, user_id):
    app = create_app(settings.model_copy(update={"exposures": tmp_path / "exposures"}))
    with TestClient(app) as client:
        client.get(PATH, params={"id": user_id, "time": MOMENT})
        app.state.inference.exposures.write()

    (file,) = (tmp_path / "exposures").glob("*.jsonl")
    line = json.loads(file.read_text())
    assert (line["slot_propensity"], line["explore"]) == ([1.0] * 5, 0.0)


def test_a_list_of_a_year_that_no_log_holds_leaves_a_log_that_can_be_read(app, exploring, tmp_path):
    user = Artifact.load(exploring).store.catalogue.user_ids.tolist()[0]
    times = ("0001-01-02T00:00:00", MOMENT, "9999-12-30T00:00:00")
    with TestClient(app) as client:
        for time in times:
            assert client.get(PATH, params={"id": user, "time": time}).status_code == 200
        app.state.inference.exposures.write()
    assert [e.at.isoformat() for e in read_exposures(tmp_path / "exposures")] == [MOMENT]


def test_a_list_of_all_posts_that_it_may_hold_explores_nothing(app, exploring):
    artifact = Artifact.load(exploring)
    user = artifact.store.catalogue.user_ids.tolist()[0]
    five = ",".join(map(str, artifact.store.catalogue.post_ids.tolist()[:5]))
    with TestClient(app) as client:
        query = {"id": user, "time": MOMENT, "candidates": five}
        found = client.get(f"{PATH}explain", params=query).json()["recommendations"]
    assert [post["explores"] for post in found] == [False] * 5
    probability = [post["probability"] for post in found]
    assert probability == sorted(probability, reverse=True)


def test_exploration_without_an_exposure_log_is_warned_of_once(exploring, tmp_path, caplog):
    app = create_app(Settings(artifact=exploring, state=tmp_path / "state"))
    users = Artifact.load(exploring).store.catalogue.user_ids.tolist()[:3]
    with TestClient(app) as client:
        for user in users:
            client.get(PATH, params={"id": user, "time": MOMENT})
    said = [r.getMessage() for r in caplog.records if "FEEDRANK_EXPOSURES" in r.getMessage()]
    assert len(said) == 1
