"""The contract of the recommendations over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from feedrank import __version__
from feedrank.log.exposures import read_exposures
from service.app import create_app
from service.settings import Settings
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)


def test_the_answer_is_what_the_recommender_ranks_in_its_order(client, artifact, user_id):
    answer = client.get(PATH, params={"id": user_id, "time": MOMENT})

    expected = artifact.recommender.recommend(user_id, datetime.fromisoformat(MOMENT), 5)
    assert answer.status_code == 200
    assert [post["id"] for post in answer.json()] == [post for post, _ in expected]


def test_a_post_has_an_id_a_text_and_a_topic(client, artifact, user_id):
    answer = client.get(PATH, params={"id": user_id, "time": MOMENT}).json()

    for post in answer:
        assert list(post) == ["id", "text", "topic"]
        row = artifact.store.catalogue.post(post["id"])
        assert post["text"] == artifact.store.text[row]
        assert post["topic"] == artifact.store.topic[row]


@pytest.mark.parametrize(
    "path",
    ["post/recommendations", "post/recommendations/variant", "post/recommendations/explain"],
)
def test_a_trailing_slash_neither_matters_nor_redirects(client, user_id, path):
    query = {"id": user_id, "time": MOMENT}

    without = client.get(f"/{path}", params=query, follow_redirects=False)
    with_slash = client.get(f"/{path}/", params=query, follow_redirects=False)

    assert without.status_code == with_slash.status_code == 200
    assert without.json() == with_slash.json()


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_limit_is_the_length_of_the_list(client, user_id, limit):
    answer = client.get(PATH, params={"id": user_id, "time": MOMENT, "limit": limit})

    assert len({post["id"] for post in answer.json()}) == limit


def test_five_posts_are_returned_where_no_limit_is_given(client, user_id):
    assert len(client.get(PATH, params={"id": user_id, "time": MOMENT}).json()) == 5


@pytest.mark.parametrize(
    "same",
    [
        "2021-10-19 22:30:00",
        "2021-10-19T22:30",
        "2021-10-19T22:30:00Z",
        "2021-10-20T01:30:00+03:00",  # another day, so another state
        "2021-10-19T17:00:00-0530",
    ],
)
def test_one_moment_has_one_answer_however_it_is_written(client, user_id, same):
    path = f"{PATH}explain"
    usual = client.get(path, params={"id": user_id, "time": "2021-10-19T22:30:00"})
    answer = client.get(path, params={"id": user_id, "time": same})
    day_after = client.get(path, params={"id": user_id, "time": "2021-10-20T01:30:00"})

    assert answer.status_code == 200, answer.text
    assert answer.json() == usual.json() != day_after.json()


@pytest.mark.parametrize("at", ["0001-01-01", "1999-12-31", "2030-01-01", "9999-12-31T23:59:59"])
def test_moments_outside_the_log_are_answered(client, artifact, user_id, at):
    answer = client.get(PATH, params={"id": user_id, "time": at})

    assert (answer.status_code, len(answer.json())) == (200, 5)
    meta = artifact.recommender.meta
    known = datetime.fromisoformat(answer.headers["X-Known-Until"])
    assert known == (meta.origin_at if at < "2" else meta.origin_at + timedelta(meta.n_days))


@pytest.mark.parametrize("route", ["", "variant", "explain"])
def test_a_list_names_the_end_of_the_log_that_was_used(client, user_id, route):
    asked = {"id": user_id, "time": "2021-10-19T22:30:00"}
    answer = client.get(PATH + route, params=asked)

    assert answer.headers["X-Known-Until"] == "2021-10-19T00:00:00"
    assert client.get("/feed", params=asked).json()["known_until"] == "2021-10-19T00:00:00"


def test_the_answer_for_an_unknown_user_says_what_to_do(client):
    answer = client.get(PATH, params={"id": 123456789, "time": MOMENT})

    assert answer.status_code == 404
    assert "user 123456789 is not among the 400 users" in answer.json()["detail"]
    assert "Ask for one of them" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("time=2021-10-20", "'id' is missing; add id=200"),
        ("id=200", "'time' is missing; add time=2021"),
        ("id=1e9&time=2021-10-20", "'id' is '1e9': write a whole number"),
        ("id=5.0&time=2021-10-20", "'id' is '5.0'"),
        ("id=1_0&time=2021-10-20", "'id' is '1_0'"),
        ("id=%D9%A3&time=2021-10-20", "write a whole number"),
        ("id=NaN&time=2021-10-20", "'id' is 'NaN'"),
        ("id=&time=2021-10-20", "'id' is ''"),
        ("id=9223372036854775808&time=2021-10-20", "it must be at most 9223372036854775807"),
        ("id=200&time=2021-13-01", "there is no such moment"),
        ("id=200&time=1634747400", "write a moment as in"),
        ("id=200&time=NaN", "write a moment as in"),
        ("id=200&time=2021-10-20T18:00:00+03:00", "%2B"),
        ("id=200&time=0001-01-01T00:00:00%2B03:00", "there is no such moment"),
        ("id=200&time=2021-10-20&limit=-1", "it must be at least 1"),
        ("id=200&time=2021-10-20&limit=0", "it must be at least 1"),
        ("id=200&time=2021-10-20&limit=101", "it must be at most 100"),
        ("id=200&time=2021-10-20&limit=five", "'limit' is 'five'"),
        ("id=200&id=201&time=2021-10-20", "'id' is given 2 times"),
        ("id=200&time=2021-10-20&time=2021-10-20", "'time' is given 2 times"),
        (f"id={'9' * 1000}&time=2021-10-20", "..."),
    ],
)
def test_a_malformed_parameter_is_named_with_what_to_write(client, query, says):
    answer = client.get(f"{PATH}?{query}")

    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 400


def test_an_endless_address_is_refused_before_it_is_read(client):
    assert client.get(f"{PATH}?id={'9' * 20_000}").status_code == 414


def test_the_probes_tell_what_is_served(client, artifact):
    version = client.get("/version").json()["artifacts"][0]

    assert client.get("/health").json() == {"status": "ok"}
    ready = {"status": "ready", "artifact": version["artifact"], "failing": [], "follower": None}
    assert client.get("/ready").json() == ready
    assert version["manifest"] == artifact.manifest
    assert client.get("/version").json()["service"] == __version__
    assert artifact.manifest["feedrank"] == __version__
    assert version["as_of"] == artifact.manifest["as_of"]
    assert version["as_of_age_days"] > 0


def test_the_documents_show_an_example_of_every_parameter(client):
    paths = client.get("/openapi.json").json()["paths"]

    for path in ("/post/recommendations/", "/post/recommendations/explain", "/feed"):
        for parameter in paths[path]["get"]["parameters"]:
            assert parameter.get("examples") or parameter["schema"].get("examples"), parameter


def test_the_documents_describe_every_answer_in_words_of_their_own(client):
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods.values():
            assert method["responses"]["200"]["description"] != "Successful Response", path


def test_a_missing_artifact_stops_the_start_with_what_to_do(tmp_path):
    app = create_app(Settings(artifact=tmp_path / "none", state=tmp_path))

    with pytest.raises(AssertionError, match=r"holds no artifact.*dvc repro"):
        start(app)


def start(app):
    """Enter a client's life; a refused start is an assertion error with its message."""
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent[0]["type"] == "lifespan.startup.complete", sent[0].get("message")


def test_naive_utc_and_offset_forms_of_a_moment_get_one_list_and_one_exposure(
    settings, tmp_path, user_id
):
    settings = settings.model_copy(update={"exposures": tmp_path / "exposures"})
    app = create_app(settings)
    with TestClient(app) as client:
        slot = app.state.inference.slots["control"]
        artifact = slot.current.artifact
        meta = replace(artifact.store.meta, offsets=((0, 3 * 3600),))
        store = replace(artifact.store, meta=meta)
        slot.current = replace(slot.current, artifact=replace(artifact, store=store))
        forms = ["2021-10-20T01:30:00", "2021-10-19T22:30:00Z", "2021-10-20T04:00:00+05:30"]
        answers = [client.get(PATH, params={"id": user_id, "time": at}) for at in forms]
        app.state.inference.exposures.write()
    exposures = list(read_exposures(tmp_path / "exposures"))
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["X-Known-Until"] for answer in answers} == {"2021-10-20T00:00:00"}
    assert {exposure.at for exposure in exposures} == {datetime(2021, 10, 20, 1, 30)}
    assert len(exposures) == len(forms)


@pytest.mark.parametrize("route", ["", "variant", "explain"])
@pytest.mark.parametrize("limit", [{}, {"limit": 3}, {"limit": "+12"}])
def test_a_plain_query_is_answered_as_one_that_excludes_nothing(client, user_id, route, limit):
    for moment in (MOMENT, f"{MOMENT}Z", MOMENT[:10], "2021-12-15t18:00+0300"):
        query = {"id": user_id, "time": moment, **limit}
        plain, other = (
            client.get(f"{PATH}{route}", params=params)
            for params in (query, {**query, "exclude": ""})
        )
        assert plain.status_code == other.status_code == 200
        assert plain.json() == other.json()
        told = ("X-Known-Until", "X-Artifact", "X-Exp-Group")
        assert [plain.headers[name] for name in told] == [other.headers[name] for name in told]


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": "5.0"}, {"time": "soon"}, {"id": "x"}, {"id": ""}, {"k": 5}]
)
def test_a_wrong_plain_query_is_refused_as_any_other(client, user_id, wrong):
    query = {"id": user_id, "time": MOMENT, **wrong}
    plain, other = (client.get(PATH, params=p) for p in (query, {**query, "exclude": ""}))
    assert plain.status_code == other.status_code == 422
    assert plain.json() == other.json()
