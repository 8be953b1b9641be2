"""Users of no known id, where `export.unknown` is popular."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.stats import spearmanr

from feedrank.artifact.artifact import Artifact
from feedrank.log.exposures import read_exposures
from feedrank.state.catalogue import NOBODY
from service.app import create_app
from tests.support.small_artifact import (
    MOMENT,
    PATH,
    export_again,
    small_params,
    write_artifact,
)

pytest_plugins = ("tests.support.service_fixtures",)
UNKNOWN = {"id": 10**12, "time": MOMENT}


@pytest.fixture(scope="module")
def popular_path(small_artifact_files, tmp_path_factory):
    """The small artifact, exported for unknown users too."""
    directory = tmp_path_factory.mktemp("popular") / "artifact"
    params = replace(small_params().export, unknown="popular")
    export_again(directory, small_artifact_files[1], params)
    return directory


@pytest.fixture
def popular(settings, popular_path, tmp_path):
    """A service that answers unknown users and logs exposures."""
    changes = {"artifact": popular_path, "exposures": tmp_path / "exposures"}
    with TestClient(create_app(settings.model_copy(update=changes))) as client:
        yield client


@pytest.mark.parametrize("route", [PATH, f"{PATH}variant", f"{PATH}explain", "/feed"])
def test_an_unknown_user_gets_a_list_that_is_marked(popular, user_id, route):
    answer = popular.get(route, params=UNKNOWN)

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Unknown-User"] == "popular"
    known = popular.get(route, params={**UNKNOWN, "id": user_id})
    assert "X-Unknown-User" not in known.headers


def test_all_unknown_users_get_the_same_list(popular):
    first, second = (popular.get(PATH, params={**UNKNOWN, "id": i, "limit": 100}) for i in (-3, 0))

    assert len(first.json()) == 100
    assert first.json() == second.json()


def test_the_list_is_of_well_liked_posts_where_posts_differ(tmp_path):
    params = small_params()
    films = replace(params, demo=replace(params.demo, kind="films"))
    artifact = Artifact.load(write_artifact(tmp_path / "artifact", tmp_path, films))

    at = artifact.store.meta.seconds(datetime.fromisoformat(MOMENT))
    rows = artifact.recommender.rank(NOBODY, at, 100).post
    counts = artifact.store.states.counts_as_of(artifact.recommender.step(at))
    rate = (counts.liked.sum(0) + 1) / (counts.shown.sum(0) + 10)
    assert rate[rows[:5]].mean() > np.quantile(rate, 0.9)
    assert spearmanr(-np.arange(100), rate[rows])[0] > 0.3


def test_the_page_shows_an_unknown_user_without_a_past(popular):
    page = popular.get("/feed", params=UNKNOWN).json()

    assert set(page["profile"].values()) == {"missing"}
    assert (page["n_shown"], page["history"], page["topics"]) == (0, [], [])
    assert len(page["recommendations"]) == 5


def test_many_users_are_answered_and_the_unknown_ones_named(popular, user_id):
    answer = popular.post(PATH, json={"ids": [UNKNOWN["id"], user_id], "time": MOMENT}).json()

    assert [one["id"] for one in answer["lists"]] == [UNKNOWN["id"], user_id]
    assert answer["unknown"] == [UNKNOWN["id"]]
    alone = popular.get(PATH, params=UNKNOWN).json()
    assert answer["lists"][0]["recommendations"] == alone


def test_the_exposure_of_an_unknown_user_is_logged_and_moves_no_drift(popular, tmp_path):
    listed = [post["id"] for post in popular.get(PATH, params=UNKNOWN).json()]
    popular.app.state.inference.exposures.write()
    popular.app.state.inference.publish()

    (exposure,) = read_exposures(tmp_path / "exposures")
    assert (exposure.user_id, exposure.posts) == (UNKNOWN["id"], listed)


@pytest.mark.parametrize("exclude", ["nothing", "seen"])
def test_nobody_in_particular_is_not_the_last_user(popular_path, exclude):
    artifact = Artifact.load(popular_path)
    recommender = artifact.recommender
    recommender._exclude = exclude
    at = artifact.store.meta.last_at
    last = artifact.store.meta.n_users - 1
    assert (
        recommender.matrix(NOBODY, at, np.arange(9)) != recommender.matrix(last, at, np.arange(9))
    ).any()
    assert len(recommender.rank(NOBODY, at, 1000).post) == artifact.store.meta.n_posts
