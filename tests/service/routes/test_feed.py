"""`POST /feed`: taken whole and once, or refused with the place of what is wrong."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from feedrank.live.events import IMPRESSION, LIKE, LIKED
from service.app import create_app
from service.routes import errors
from tests.support.small_artifact import PATH

pytest_plugins = ("tests.support.service_fixtures",)
NOW = "2021-12-30T18:00:00"
JSON = {"Content-Type": "application/json"}
HALF = "\ud800"  # of a pair of surrogates
EVENT = {"user_id": 200, "post_id": 1, "time": NOW}


def events_of(client):
    return client.app.state.inference.deltas.log.events_after(0)


def test_events_posts_and_users_are_in_the_delta_log_when_it_answers(client):
    body = {
        "events": [
            EVENT,
            {**EVENT, "post_id": 2, "liked": True},
            {**EVENT, "kind": "like", "time": "2021-12-30T18:00:09"},
        ],
        "posts": [{"id": 9001, "text": "words", "topic": "tech"}],
        "users": [{"id": 9002, "profile": {"age": 30, "city": None}}],
    }
    assert client.post("/feed", json=body).json() == {"new": 3}
    found = events_of(client)
    assert found.kind.tolist() == [IMPRESSION, LIKED, LIKE]
    since_1970 = datetime.fromisoformat(NOW).replace(tzinfo=UTC).timestamp()
    assert found.at.tolist() == [since_1970, since_1970, since_1970 + 9]
    log = client.app.state.inference.deltas.log
    assert [post.post_id for post in log.posts_after(0)] == [9001]
    assert [user.profile for user in log.users_after(0)] == [{"age": 30, "city": None}]


def test_what_is_sent_again_adds_nothing(client):
    body = {"events": [{**EVENT, "event_id": "e1"}, {**EVENT, "post_id": 3}]}
    assert client.post("/feed", json=body).json() == {"new": 2}
    assert client.post("/feed/", json=body).json() == {"new": 0}
    other = {"events": [{**EVENT, "event_id": "e1", "post_id": 4}]}
    assert client.post("/feed", json=other).json() == {"new": 0}


def test_a_moment_with_an_offset_is_on_the_logs_clock(client):
    client.post("/feed", json={"events": [{**EVENT, "time": "2021-12-30T20:00:00+02:00"}]})
    client.post("/feed", json={"events": [EVENT]})
    assert len(events_of(client)) == 1


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"user_id": "x"}, "'events[1].user_id' is 'x': write a whole number"),
        ({"time": "2021-13-01"}, "'events[1].time' is '2021-13-01': there is no such moment"),
        ({"time": "2999-01-01"}, "'events[1].time' is '2999-01-01 00:00:00': it is later than now"),
        ({"kind": "share"}, "'events[1].kind' is 'share'"),
        ({"kind": "like", "liked": True}, "'events[1].liked' is 'True': a like is no impression"),
        ({"weight": 1}, "'events[1].weight' is '1'"),
        ({"time": 1635156000}, "'events[1].time' is '1635156000': write a moment as in"),
        ({"user_id": True}, "'events[1].user_id.int' is 'True'"),
        ({"event_id": HALF}, "'events[1].event_id' is '?': it holds half of a character"),
        ({HALF: 1}, "'events[1]' is '?'"),
        ({"post_id": "x" * 256}, "an id has at most 255 bytes, none of them 0"),
    ],
)
def test_a_wrong_event_is_named_and_nothing_is_taken(client, event, words):
    body = json.dumps({"events": [EVENT, {**EVENT, **event}]})  # httpx cannot write half characters
    answer = client.post("/feed", content=body, headers=JSON)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert len(events_of(client)) == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [("{", "the body is no JSON"), ("", "'body' is missing; send it as JSON, as /docs shows")],
)
def test_a_body_that_cannot_be_read_is_told(client, body, words):
    assert words in client.post("/feed", content=body, headers=JSON).json()["detail"]


@pytest.mark.parametrize("path", ["/feed", PATH])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"events": "\xff"}', "not UTF-8, at byte 12"),
        (b'{"events": 1' + b"0" * 4_300 + b"}", "a number of thousands of digits"),
        (b"[" * 100_000, "too deep"),
    ],
)
def test_a_body_that_python_cannot_read_is_malformed(client, path, body, words):
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


WRONG = {name: [] for name in "abcdefghij"}
MANY = {f"{number}": [] for number in range(300_000)}


@pytest.mark.parametrize(
    "body",
    [
        {"users": [{"id": 1, "profile": MANY}]},
        {"users": [{"id": n, "profile": WRONG} for n in range(9_000)]},
        {"posts": [{"id": number, "embedding": ["x"] * 8_000} for number in range(100)]},
        {"events": [{**EVENT, **MANY}]},
        {"events": [{**EVENT, "x": 1}] * 10_000},
        {"posts": [{"id": [[1] * 1_000] * 1_000}]},
        MANY,
    ],
)
def test_of_many_problems_the_first_few_are_told(client, monkeypatch, body):
    counted = []
    monkeypatch.setattr(errors, "_sentence", _counting(errors._sentence, counted))
    answer = client.post("/feed", json=body)
    assert answer.status_code == 422
    assert len(answer.content) < 1_000
    assert len(counted) <= errors.MOST_TOLD


def _counting(function, calls):
    def counted(problem):
        calls.append(problem)
        return function(problem)

    return counted


def test_problems_that_are_not_told_are_counted(client):
    detail = client.post("/feed", json={"users": [{"id": 1, "profile": WRONG}] * 3}).json()[
        "detail"
    ]
    assert detail.endswith("And 35 more.")  # of one user: a value has the problems of four types


@pytest.mark.parametrize("part", ["text", "topic"])
def test_half_a_character_is_refused_where_it_cannot_be_kept(client, part):
    body = json.dumps({"posts": [{"id": 1, part: HALF}]})
    answer = client.post("/feed", content=body, headers=JSON)
    assert answer.status_code == 422
    assert f"'posts[0].{part}' is '?'" in answer.json()["detail"]


def test_a_posts_embedding_is_kept_and_one_that_is_none_is_refused(client):
    post = {"id": 9001, "embedding": [0.5, -2]}
    assert client.post("/feed", json={"posts": [post]}).status_code == 200
    (kept,) = client.app.state.inference.deltas.log.posts_after(0)
    assert kept.embedding.tolist() == [0.5, -2]
    for wrong in ([], "words", ["x"], [1e300]):
        answer = client.post("/feed", json={"posts": [{"id": 9002, "embedding": wrong}]})
        assert answer.status_code == 422
        assert "'posts[0].embedding" in answer.json()["detail"]


def test_too_many_events_or_bytes_are_refused(client):
    many = client.post("/feed", json={"events": [EVENT] * 10_001})
    assert many.status_code == 422
    assert "10000" in many.json()["detail"]
    long = client.post("/feed", json={"posts": [{"id": 1, "text": "x" * 5_000_000}]})
    assert (long.status_code, "in parts" in long.json()["detail"]) == (413, True)
    chunked = client.post("/feed", content=(part for part in [b"{", b"}"]))
    assert chunked.status_code == 411


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_another_hosts_page_could_send_is_refused(client, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = client.post("/feed", content=b'{"events": []}', headers=headers)
    assert answer.status_code == 422


def test_the_key_is_needed_where_one_is_set(settings):
    with TestClient(create_app(settings.model_copy(update={"api_key": "secret"}))) as client:
        assert client.post("/feed", json={"events": [EVENT]}).status_code == 401
        sent = client.post("/feed", json={"events": [EVENT]}, headers={"X-API-Key": "secret"})
        assert sent.json() == {"new": 1}


def test_a_delta_log_that_cannot_be_written_is_said(client):
    path = client.app.state.inference.deltas.path
    client.post("/feed", json={"events": [EVENT]})
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE users")
    answer = client.post("/feed", json={"events": [{**EVENT, "post_id": 5}], "users": [{"id": 1}]})
    assert answer.status_code == 507
    assert "cannot be used" in answer.json()["detail"]
    assert len(events_of(client)) == 1
