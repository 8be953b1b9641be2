"""Parameters that restrict one request: `exclude`, `topic` and `candidates`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient

from feedrank.log.exposures import read_exposures
from feedrank.log.metadata import ALWAYS, NEVER
from feedrank.state import shared
from service.app import create_app
from service.monitoring import metrics
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture
def ask(client, user_id):
    """Ids of a list under further parameters, on any route of lists."""

    def answered(route=PATH, **more):
        answer = client.get(route, params={"id": user_id, "time": MOMENT, **more})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        posts = found if isinstance(found, list) else found["recommendations"]
        return [post["id"] for post in posts]

    return answered


ROUTES = [PATH, f"{PATH}variant", f"{PATH}explain", "/feed"]


@pytest.mark.parametrize("route", ROUTES)
def test_an_excluded_post_is_followed_by_the_next_best(ask, route):
    best = ask(limit=8)

    assert ask(route, exclude=f"{best[0]},{best[2]}") == [best[1], *best[3:7]]
    assert ask(route, exclude=[best[0], f"{best[2]},{best[1]}"]) == best[3:8]


@pytest.mark.parametrize("route", ROUTES)
def test_candidates_confine_a_list_and_are_not_filled_up(ask, route):
    everything = ask(limit=100)
    some = [everything[40], everything[3], everything[17]]

    expected = [everything[3], everything[17], everything[40]]
    assert ask(route, candidates=",".join(map(str, some))) == expected


@pytest.mark.parametrize("route", ROUTES)
def test_a_topic_confines_a_list(ask, artifact, route):
    topic = artifact.store.topic
    of_topic = [post for post in ask(limit=100) if topic[artifact.store.catalogue.post(post)]]
    wanted = topic[0]

    found = ask(route, topic=wanted, limit=10)
    assert found
    assert {topic[artifact.store.catalogue.post(post)] for post in found} == {wanted}
    other = next(t for row in range(300) if (t := topic[row]) != wanted)
    either = {topic[artifact.store.catalogue.post(p)] for p in ask(topic=[wanted, other], limit=60)}
    assert either == {wanted, other}
    assert len(of_topic) == 100


def test_all_restrictions_hold_at_once_and_leave_fewer_posts(ask, artifact):
    best = ask(limit=30)
    topic = artifact.store.topic[artifact.store.catalogue.post(best[0])]
    alike = [p for p in best if artifact.store.topic[artifact.store.catalogue.post(p)] == topic]

    named = ",".join(map(str, best))
    assert ask(topic=topic, candidates=named, exclude=alike[0], limit=30) == alike[1:]


def test_unknown_ids_are_ignored_in_exclude_and_left_out_of_candidates(ask):
    best = ask()

    assert ask(exclude=f"-5,{10**17}") == best
    assert ask(candidates=f"{best[1]},{10**17},-5") == [best[1]]
    assert ask(candidates="-5") == ask(candidates="") == ask(topic="no such topic") == []
    assert ask(exclude="") == best


def test_a_hidden_post_is_no_candidate(settings, user_id):
    app = create_app(settings)
    with TestClient(app) as client:
        slot = app.state.inference.slots["control"]
        artifact = slot.current.artifact
        hidden_from = np.full(len(artifact.store.catalogue.post_ids), NEVER)
        hidden_from[0] = ALWAYS
        catalogue = replace(artifact.store.catalogue, hidden_from=hidden_from)
        store = replace(artifact.store, catalogue=catalogue)
        slot.current = replace(slot.current, artifact=replace(artifact, store=store))
        named = ",".join(map(str, catalogue.post_ids[:2].tolist()))
        query = {"id": user_id, "time": MOMENT, "candidates": named}
        found = [post["id"] for post in client.get(PATH, params=query).json()]

    assert found == catalogue.post_ids[1:2].tolist()


def test_a_post_that_the_feed_never_showed_is_listed_only_if_named(ask, artifact, monkeypatch):
    monkeypatch.setattr(shared, "FEWEST_SHOWN", 1)
    store = artifact.store
    counts = store.shared.by_post.before(store.shared.n_steps)
    n_shown = counts.shown.reshape(-1, store.meta.n_posts).sum(0)
    never = store.catalogue.post_ids[n_shown == 0].tolist()
    assert never

    listed: list[int] = []
    while len(listed) < store.meta.n_posts - len(never) - 5:
        listed += ask(time="2021-11-20T18:00:00", exclude=listed)
    assert not set(never) & set(listed)
    assert ask(candidates=never[0]) == never[:1]


def test_the_exposure_is_the_restricted_list(settings, tmp_path, user_id):
    app = create_app(settings.model_copy(update={"exposures": tmp_path / "exposures"}))
    with TestClient(app) as client:
        query = {"id": user_id, "time": MOMENT}
        best = [post["id"] for post in client.get(PATH, params=query).json()]
        client.get(PATH, params={**query, "candidates": f"{best[3]},{best[1]}"})
        app.state.inference.exposures.write()

    assert [e.posts for e in read_exposures(tmp_path / "exposures")] == [best, [best[1], best[3]]]


def test_a_head_is_no_exposure(settings, tmp_path, user_id):
    app = create_app(settings.model_copy(update={"exposures": tmp_path / "exposures"}))
    counted = metrics.RECOMMENDED.labels("control")._value
    with TestClient(app) as client:
        before = counted.get()
        for query in ({}, {"exclude": "1"}):  # which are read in two ways
            for route in (PATH, f"{PATH}variant"):
                params = {"id": user_id, "time": MOMENT, **query}
                assert client.head(route, params=params).status_code == 200
        app.state.inference.exposures.write()

        assert counted.get() == before
    assert list(read_exposures(tmp_path / "exposures")) == []


@pytest.mark.parametrize("route", ["/feed", "/feed/"])
def test_the_page_s_parameters_are_taken_with_and_without_a_slash(client, user_id, route):
    query = {"id": user_id, "time": MOMENT, "history": 3, "arm": "control"}
    answer = client.get(route, params=query)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["history"]) == 3
    assert client.get(PATH, params=query).status_code == 422


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("exclude=abc", "'exclude' is 'abc': write a whole number"),
        ("candidates=1,2.5", "'candidates' is '2.5': write a whole number"),
        ("candidates=99999999999999999999", "'candidates' is '99999999999999999999'"),
        ("exclude=" + "1," * 1001, "'exclude' is a list of 1,001 ids; give 1,000 at most"),
        ("excluded=1", "'excluded' is not a parameter of this route; there are id, time, limit, "),
        ("limit=2&limit=3", "'limit' is given 2 times"),
    ],
)
def test_a_wrong_restriction_is_named_with_what_to_write(client, user_id, query, says):
    answer = client.get(f"{PATH}?id={user_id}&time={MOMENT}&{query}")

    assert answer.status_code == 422
    assert says in answer.json()["detail"]
