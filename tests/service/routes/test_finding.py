"""Search of the page over HTTP."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from feedrank.state.catalogue import Texts
from service.routes.finding import described, profile_of
from service.routes.page import _named_topics, _topics
from tests.support.simulated_logs import divided

pytest_plugins = ("tests.support.service_fixtures",)


def _found(client: TestClient, words: str) -> dict:
    return client.get("/feed/search", params={"q": words}).json()


def test_a_number_finds_the_band_that_holds_it(client: TestClient, artifact: Artifact) -> None:
    number, column = next((i, c) for i, c in enumerate(artifact.store.columns) if c.edges)
    found = _found(client, f"{column.name} {column.edges[0]:g}")
    assert found["n_users"] == np.sum(artifact.store.catalogue.codes[:, number] == 1) > 0
    assert {user["profile"][column.name] for user in found["users"]} == {column.label(1)}


def test_all_words_have_to_be_found(client: TestClient, artifact: Artifact) -> None:
    text = artifact.store.text[0]
    first, second = text.split()[:2]
    assert {p["id"] for p in _found(client, f"{first} {second}")["posts"]} <= {
        p["id"] for p in _found(client, first)["posts"]
    } | {int(artifact.store.catalogue.post_ids[0])}
    nothing = {"n_users": 0, "users": [], "posts": []}
    assert _found(client, f"{first} nosuchword") == nothing
    assert _found(client, " ") == nothing


def test_a_word_is_found_from_its_beginning(client: TestClient, artifact: Artifact) -> None:
    word = artifact.store.topic[0]
    assert _found(client, word[:3])["posts"]
    assert not [p for p in _found(client, word[1:])["posts"] if p["topic"] == word]


def test_a_search_has_few_words(client: TestClient) -> None:
    answer = client.get("/feed/search", params={"q": "a " * 21})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "'q' is of 21 words; give 20 at most."
    assert client.get("/feed/search", params={"q": "a " * 20}).status_code == 200


def test_an_id_finds_its_user(client: TestClient, user_id: int) -> None:
    assert user_id in [user["id"] for user in _found(client, str(user_id))["users"]]


def test_a_user_is_known_for_all_columns_that_tell_the_segment() -> None:
    store = divided().store
    artifact = cast(Artifact, SimpleNamespace(store=store))
    names = [store.fitted.column_names[column] for column in store.fitted.segment_columns]
    profile = profile_of(artifact, 3)
    assert names == ["side", "age"]
    (user,) = described(artifact, [3])
    assert user["known_for"] == f"side {profile['side']}, age {profile['age']}"
    one = replace(store, fitted=store.fitted.knowing(0))
    assert described(cast(Artifact, SimpleNamespace(store=one)), [3])[0]["known_for"] == ""


def test_topics_that_share_a_code_are_named_each() -> None:
    store = divided().store
    topic, last = store.fitted.topic, store.fitted.n_topics - 1
    shared, own = np.flatnonzero(topic == last), np.flatnonzero(topic < last)
    names = [store.topic[row] for row in range(len(topic))]
    for row in shared.tolist():
        names[row] = f"single {row}"
    names[shared[4]] = names[shared[3]]
    apart = replace(store, topic=Texts.of(names))
    post = np.array([shared[3], own[0], shared[4], shared[7]])
    found = _topics(cast(Artifact, SimpleNamespace(store=apart)), post, np.array([0, 1, 1, 0]))
    first = {"topic": names[shared[3]], "n_shown": 2, "n_liked": 1}
    others = [
        {"topic": names[own[0]], "n_shown": 1, "n_liked": 1},
        {"topic": names[shared[7]], "n_shown": 1, "n_liked": 0},
    ]
    assert found == [first, *sorted(others, key=lambda one: str(one["topic"]))]
    assert set(_named_topics(apart)[:last]) == {names[row] for row in own.tolist()}
    assert _named_topics(apart)[last] == names[shared[3]]
