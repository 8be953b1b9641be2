"""Lists of many users at once, and posts that are similar to one."""

from __future__ import annotations

import asyncio
from datetime import datetime

from fastapi.testclient import TestClient

from feedrank.log.exposures import read_exposures
from feedrank.ranking.similarity import similar_posts
from service.app import create_app
from service.serving.feed_request import FeedRequest
from service.serving.inference import Inference
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)
AT = datetime.fromisoformat(MOMENT)


def _get(client, user_id, **more):
    return client.get(PATH, params={"id": user_id, "time": MOMENT, **more}).json()


def test_each_of_many_users_gets_the_list_of_a_request_of_its_own(client, artifact):
    ids = artifact.store.catalogue.user_ids[::9].tolist()
    answer = client.post(PATH, json={"ids": ids, "time": MOMENT, "limit": 7})

    assert answer.status_code == 200, answer.text
    lists = answer.json()["lists"]
    assert [one["id"] for one in lists] == ids
    assert [one["recommendations"] for one in lists] == [_get(client, i, limit=7) for i in ids]
    assert {one["known_until"] for one in lists} == {"2021-10-20T00:00:00"}
    assert len(ids) > 32  # so that there are several blocks


def test_a_list_of_another_caller_comes_between_two_blocks(client, artifact, user_id, monkeypatch):
    inference = client.app.state.inference
    ids = artifact.store.catalogue.user_ids[:40].tolist()
    many, one = ([FeedRequest(i, AT, 5) for i in of] for of in (ids, [user_id]))
    sizes, opened = [], []

    def noted(loaded, requests):
        sizes.append(len(requests))
        opened.append(inference.limiter.n_open)
        return Inference._answers(inference, loaded, requests)

    async def both():
        lists = asyncio.create_task(inference.serve_many(many))
        await asyncio.sleep(0)
        await inference.serve(one[0])
        return await lists

    monkeypatch.setattr(inference, "_answers", noted)
    found = client.portal.call(both)
    assert [answer.request.user_id for answer in found] == ids
    assert sizes == [16, 1, 16, 8]
    assert opened == [2, 2, 1, 1]  # many users are one open request


def test_unknown_users_are_named_and_a_user_is_answered_once(client, user_id):
    body = {"ids": [user_id, -5, user_id, 10**12], "time": MOMENT}
    answer = client.post(PATH.rstrip("/"), json=body).json()

    assert [one["id"] for one in answer["lists"]] == [user_id]
    assert answer["unknown"] == [-5, 10**12]
    assert client.post(PATH, json={"ids": [], "time": MOMENT}).json() == {
        "lists": [],
        "unknown": [],
    }


def test_many_users_are_restricted_alike(client, artifact):
    ids = artifact.store.catalogue.user_ids[:3].tolist()
    best = [post["id"] for post in _get(client, ids[0], limit=100)]
    body = {"ids": ids, "time": MOMENT, "exclude": best[:1], "candidates": best[:4]}

    for one in client.post(PATH, json=body).json()["lists"]:
        assert {post["id"] for post in one["recommendations"]} == set(best[1:4])


def test_lists_of_many_users_go_to_their_arms_and_are_exposures(settings, tmp_path, artifact):
    changes = {"exposures": tmp_path / "log", "test_artifact": settings.artifact}
    app = create_app(settings.model_copy(update=changes))
    ids = artifact.store.catalogue.user_ids[:40].tolist()
    with TestClient(app) as client:
        lists = client.post(PATH, json={"ids": ids, "time": MOMENT}).json()["lists"]
        app.state.inference.exposures.write()

    listed = {
        one["id"]: (one["exp_group"], [post["id"] for post in one["recommendations"]])
        for one in lists
    }
    assert {arm for arm, _ in listed.values()} == {"control", "test"}
    assert [one["id"] for one in lists] == ids
    exposures = list(read_exposures(tmp_path / "log"))
    assert {e.user_id: (e.exp_group, e.posts) for e in exposures} == listed
    assert len(exposures) == 40


def test_a_wrong_body_is_named_with_what_to_write(client, user_id):
    for body, says in (
        ({"ids": [user_id]}, "'time' is missing"),
        ({"ids": ["x"], "time": MOMENT}, "'ids' is 'x': write a whole number"),
        ({"ids": [1] * 1001, "time": MOMENT}, "1000 items"),
        ({"ids": [1], "time": MOMENT, "topic": "x"}, "topic"),
        ({"ids": [1], "time": "now"}, "write a moment as in"),
        ({"ids": [1], "time": MOMENT, "limit": 101}, "it must be at most 100"),
    ):
        answer = client.post(PATH, json=body)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
        assert len(answer.json()["detail"]) < 400


def test_similar_posts_are_those_of_the_library(client, artifact):
    ids = artifact.store.catalogue.post_ids
    answer = client.get(f"/post/{ids[7]}/similar", params={"limit": 4})

    rows, similarity = similar_posts(artifact.store, 7, 4, artifact.store.catalogue.open_posts(0))
    assert answer.status_code == 200, answer.text
    assert [post["id"] for post in answer.json()] == ids[rows].tolist()
    assert [post["similarity"] for post in answer.json()] == similarity.tolist()
    assert list(answer.json()[0]) == ["id", "text", "topic", "similarity"]


def test_similar_posts_are_restricted_as_lists_are(client, artifact):
    post_id = artifact.store.catalogue.post_ids[7]
    path = f"/post/{post_id}/similar/"
    best = [post["id"] for post in client.get(path).json()]

    found = client.get(path, params={"exclude": f"{best[0]}", "candidates": f"{best[2]},{best[0]}"})
    assert [post["id"] for post in found.json()] == [best[2]]
    assert client.get(path, params={"id": 3}).status_code == 422


def test_an_unknown_post_is_a_404_that_says_so(client):
    answer = client.get("/post/999999999/similar")

    assert answer.status_code == 404
    assert "post 999999999 is not among the 300 open posts" in answer.json()["detail"]
    assert client.get("/post/x/similar").status_code == 422
