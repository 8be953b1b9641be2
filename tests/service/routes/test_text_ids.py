"""A network with ids of text is served as the same one with whole numbers is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.checks.schema import check_schema
from feedrank.checker.bundle import write_bundle
from feedrank.checker.model import Model
from feedrank.errors import ArtifactError
from feedrank.log.exposures import read_exposures
from feedrank.state.catalogue import id_array
from feedrank.state.feature_store import FeatureStore
from service.app import create_app
from service.settings import Settings
from tests.support.course.bundles import EVERYTHING
from tests.support.small_artifact import MOMENT, PATH, export_again, small_params

pytest_plugins = ("tests.support.service_fixtures",)


def named(number: int) -> str:
    return f"ö{number:06d}"


@pytest.fixture(scope="module")
def text_path(
    small_artifact_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    scratch = tmp_path_factory.mktemp("text")
    shutil.copytree(small_artifact_files[1], scratch, dirs_exist_ok=True)
    store = FeatureStore.load(small_artifact_files[1] / "features")
    users, posts = (
        id_array(np.array([named(i) for i in ids.tolist()]))
        for ids in (store.catalogue.user_ids, store.catalogue.post_ids)
    )
    catalogue = replace(store.catalogue, user_ids=users, post_ids=posts)
    replace(store, catalogue=catalogue).save(scratch / "features")
    export_again(scratch / "artifact", scratch, small_params().export)
    return scratch / "artifact"


@pytest.fixture
def text_client(text_path: Path, tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(
        artifact=text_path, state=tmp_path / "text_state", exposures=tmp_path / "exposures"
    )
    with TestClient(create_app(settings)) as running:
        yield running


def test_lists_of_text_ids_are_those_of_whole_numbers(
    client: TestClient, text_client: TestClient, artifact: Artifact, tmp_path: Path
) -> None:
    users = artifact.store.catalogue.user_ids[::40].tolist()
    for user in users:
        for path in (PATH, "/feed"):
            query = {"time": MOMENT, "limit": "7"}
            whole = client.get(path, params={"id": user, **query}).json()
            text = text_client.get(path, params={"id": named(user), **query}).json()
            if path == "/feed":
                assert (text.pop("id"), whole.pop("id")) == (named(user), user)
                whole, text = whole["recommendations"], text["recommendations"]
            expected = [{**post, "id": named(post["id"])} for post in whole]
            assert text == expected
    text_client.app.state.inference.close()  # type: ignore[attr-defined]
    exposures = list(read_exposures(tmp_path / "exposures"))
    assert [e.user_id for e in exposures] == [named(u) for u in users]
    assert all(isinstance(post, str) for e in exposures for post in e.posts)


@pytest.mark.parametrize("unknown", ["200", "", "ö", "ö000200\0", "ö" * 60, "\x00", "é000200"])
def test_unknown_text_is_an_unknown_user(text_client: TestClient, unknown: str) -> None:
    answer = text_client.get(PATH, params={"id": unknown, "time": MOMENT})
    assert answer.status_code == 404
    assert "is not among the 400 users" in answer.json()["detail"]


@pytest.mark.parametrize("wide", [10**255, "x" * 256])
def test_an_id_that_no_database_holds_is_refused_also_as_a_number(
    text_client: TestClient, wide: int | str
) -> None:
    for body in ({"posts": [{"id": wide}]}, {"users": [{"id": wide}]}):
        answer = text_client.post("/feed", json=body)
        assert answer.status_code == 422
        assert "an id has at most 255 bytes" in answer.json()["detail"]
    assert text_client.post("/feed", json={"posts": [{"id": 10**254}]}).status_code == 200


def test_a_post_that_no_row_can_name_is_not_hidden(text_path: Path, tmp_path: Path) -> None:
    settings = Settings(artifact=text_path, state=tmp_path / "state", api_key="sesame")
    with TestClient(create_app(settings)) as client:
        for post, status in ((f"{'é' * 127}x", 200), ("é" * 128, 422)):
            answer = client.put(f"/posts/{post}/hidden", headers={"X-API-Key": "sesame"})
            assert answer.status_code == status
        assert "an id has at most 255 bytes" in answer.json()["detail"]


def test_the_document_and_the_page_name_users_by_text(
    client: TestClient, text_client: TestClient, user_id: int
) -> None:
    kinds = []
    for caller in (client, text_client):
        (route,) = [r for p, r in caller.get("/openapi.json").json()["paths"].items() if p == PATH]
        kinds += [p["schema"]["type"] for p in route["get"]["parameters"] if p["name"] == "id"]
    assert kinds == ["integer", "string"]
    found = text_client.get("/feed/search", params={"q": named(user_id)}).json()["users"]
    assert [user["id"] for user in found] == [named(user_id)]


def test_a_bundle_of_text_ids_answers_with_them(
    text_path: Path, tmp_path: Path, user_id: int
) -> None:
    artifact = Artifact.load(text_path)
    write_bundle(tmp_path / "bundle", artifact, EVERYTHING)
    app = (tmp_path / "bundle" / "app.py").read_text()
    assert app.count("id: str") == 3
    assert "id: int" not in app
    at = datetime.fromisoformat(MOMENT)
    posts = Model.load(str(tmp_path / "bundle" / "model")).posts(named(user_id), at, 5)
    expected = [post for post, _ in artifact.recommender.recommend(named(user_id), at, 5)]
    assert [post["id"] for post in posts] == expected


def test_ids_out_of_order_or_not_utf8_are_refused(text_path: Path, tmp_path: Path) -> None:
    shutil.copytree(text_path, tmp_path / "artifact")
    manifest = json.loads((text_path / "manifest.json").read_text())
    path = tmp_path / "artifact" / "catalogue_user_ids.npy"
    ids = np.load(path)
    for wrong, message in ((ids[::-1], "not sorted"), (np.append(ids[:-1], b"\xff"), "decode")):
        np.save(path, wrong)
        with pytest.raises(ArtifactError, match=message):
            check_schema(tmp_path / "artifact", manifest)
