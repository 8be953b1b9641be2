"""Posts that callers hide: durable, with a key alone."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from fastapi.testclient import TestClient

from feedrank.errors import FeedrankError
from feedrank.live.delta_log import DeltaLog, delta_log_of
from feedrank.live.events import Happened
from service.app import create_app
from service.live.hidden_file import HiddenFile
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)
KEY = {"X-API-Key": "sesame"}


@pytest.fixture
def locked(settings):
    """A service with a key."""
    with TestClient(create_app(settings.model_copy(update={"api_key": "sesame"}))) as client:
        yield client


def _hidden(settings):
    log = DeltaLog(delta_log_of(settings.state, settings.artifact))
    found = {post.post_id: post.is_hidden for post in log.hidden_after(0)}
    log.close()
    return found


def test_a_post_is_hidden_and_opened_again_durably(locked, settings, artifact):
    post = int(artifact.store.catalogue.post_ids[3])
    path = f"/posts/{post}/hidden"

    hidden = locked.put(path, headers=KEY)
    assert (hidden.status_code, hidden.json()) == (200, {"id": post, "hidden": True})
    assert locked.put(f"{path}/", headers=KEY).status_code == 200
    assert _hidden(settings) == {post: True}
    opened = locked.delete(path, headers=KEY)
    assert (opened.status_code, opened.json()) == (200, {"id": post, "hidden": False})
    assert _hidden(settings) == {post: None}


def test_a_post_that_is_not_known_yet_may_be_hidden(locked, settings):
    assert locked.put("/posts/987654321/hidden", headers=KEY).status_code == 200
    assert _hidden(settings) == {987654321: True}


def test_nobody_hides_without_a_key(locked, client, settings):
    assert locked.put("/posts/3/hidden").status_code == 401
    for answer in (client.put("/posts/3/hidden"), client.delete("/posts/3/hidden")):
        assert answer.status_code == 403
        assert "set FEEDRANK_API_KEY" in answer.json()["detail"]
    assert _hidden(settings) == {}


def test_a_malformed_id_and_another_method_are_refused(locked):
    assert locked.put("/posts/x/hidden", headers=KEY).status_code == 422
    answer = locked.get("/posts/3/hidden", headers=KEY)
    assert answer.status_code == 405


def test_a_hidden_post_leaves_every_answer_of_every_worker(settings, artifact, user_id):
    settings = settings.model_copy(update={"api_key": "sesame"})
    query = {"id": user_id, "time": MOMENT, "limit": 100}
    with (
        TestClient(create_app(settings), headers=KEY) as one,
        TestClient(create_app(settings), headers=KEY) as other,
    ):
        first = one.get(PATH, params=query).json()[0]
        similar = one.get(f"/post/{first['id']}/similar").json()[0]
        assert one.put(f"/posts/{first['id']}/hidden").status_code == 200
        for client in (one, other):
            _wait(lambda client=client: first not in client.get(PATH, params=query).json())
            for route in ("explain", "variant"):
                found = client.get(PATH + route, params=query).json()["recommendations"]
                assert first["id"] not in [post["id"] for post in found]
            page = client.get("/feed", params=query).json()["recommendations"]
            assert first["id"] not in [post["id"] for post in page]
            named = client.get(PATH, params={**query, "candidates": first["id"]})
            assert named.json() == []
            body = {"ids": [user_id], "time": MOMENT, "limit": 100}
            (many,) = client.post(PATH, json=body).json()["lists"]
            assert first not in many["recommendations"]
            assert client.get(f"/post/{first['id']}/similar").status_code == 404
            like_this = client.get(f"/post/{similar['id']}/similar", params={"limit": 100}).json()
            assert first["id"] not in [post["id"] for post in like_this]
            found = client.get("/feed/search", params={"q": " ".join(first["text"].split()[:3])})
            assert first["id"] not in [post["id"] for post in found.json()["posts"]]
        past = one.get("/feed", params=query).json()["history"][0]
        one.put(f"/posts/{past['id']}/hidden")
        shown = {**query, "limit": 1}
        _wait(lambda: past not in other.get("/feed", params=shown).json()["history"])
        one.delete(f"/posts/{first['id']}/hidden")
        _wait(lambda: other.get(PATH, params=query).json()[0] == first)


@pytest.fixture
def file(settings, tmp_path):
    """A file of hidden posts, whose reader names posts by whole numbers."""
    settings.state.mkdir(mode=0o700)
    with closing(DeltaLog(delta_log_of(settings.state, settings.artifact))) as log:
        yield HiddenFile(tmp_path / "hidden.txt", lambda: log, are_text=False), log


def test_a_file_hides_at_once_and_opens_when_it_has_come_to_rest(file, tmp_path):
    reader, log = file
    path = tmp_path / "hidden.txt"
    path.write_text("\ufeff7\n\n 9 \r\n")
    reader.poll()
    assert log.hidden_by("file") == {7, 9}
    reader.poll()
    path.write_text("9\n")
    reader.poll()
    assert log.hidden_by("file") == {7, 9}
    reader.poll()
    assert log.hidden_by("file") == {9}
    path.unlink()
    with pytest.raises(FeedrankError, match="cannot be read: No such file"):
        reader.poll()
    assert log.hidden_by("file") == {9}
    path.write_text("")
    reader.poll()
    reader.poll()
    assert log.hidden_by("file") == set()


def test_a_file_that_stays_is_read_no_more_than_twice(file, tmp_path, monkeypatch):
    reader, _ = file
    (tmp_path / "hidden.txt").write_text("7\n")
    reader.poll()
    reader.poll()
    monkeypatch.setattr(type(tmp_path), "read_text", None)
    reader.poll()


def test_lines_that_hold_no_id_are_named_once_and_the_rest_is_kept(file, tmp_path, caplog):
    reader, log = file
    lines = ["7", "seven", "1e9", "9" * 19, "9" * 30, "8", "", "7.0", "\u0667"]
    (tmp_path / "hidden.txt").write_bytes("\n".join(lines).encode() + b"\n\xff5\n10")
    for _ in range(3):
        reader.poll()
    assert log.hidden_by("file") == {7, 8, 10}
    (warning,) = [record for record in caplog.records if "hold no id" in record.message]
    assert (warning.lines, warning.n_wrong) == ("2, 3, 4, 5, 8, ...", 7)


def test_text_ids_of_a_file_are_taken_as_they_are(file, tmp_path):
    reader, log = file
    reader._are_text = True
    (tmp_path / "hidden.txt").write_bytes(b"a b\n" + b"x" * 256 + "\né\n".encode() + b"\xff\n")
    reader.poll()
    assert log.hidden_by("file") == {"a b", "é"}


def test_an_edit_of_the_file_leaves_the_answers_of_a_running_service(settings, user_id, tmp_path):
    path = tmp_path / "hidden.txt"
    settings = settings.model_copy(update={"hidden_posts": path})
    query = {"id": user_id, "time": MOMENT, "limit": 100}
    with TestClient(create_app(settings)) as client:
        first = client.get(PATH, params=query).json()[0]
        _wait(lambda: client.get("/ready").json()["failing"] == ["hidden_posts"])
        path.write_text(f"{first['id']}\n")
        _wait(lambda: first not in client.get(PATH, params=query).json())
        assert client.get("/ready").json()["failing"] == []
        path.write_text("")
        _wait(lambda: client.get(PATH, params=query).json()[0] == first)


def test_golden_requests_pass_whatever_is_hidden(settings, artifact, user_id):
    rows = [row for golden in artifact.golden for row in golden["post"]]
    ids = artifact.store.catalogue.post_ids[rows].tolist()
    settings.state.mkdir(mode=0o700)
    with closing(DeltaLog(delta_log_of(settings.state, settings.artifact))) as log:
        log.append(Happened(hidden=[(post, True) for post in ids]))
    with TestClient(create_app(settings)) as client:
        query = {"id": user_id, "time": MOMENT, "limit": 100}
        listed = {post["id"] for post in client.get(PATH, params=query).json()}

    assert len(listed) == 100
    assert not listed & set(ids)


@pytest.fixture
def damaged(settings):
    """A delta log that can be written, and whose users cannot be read."""
    settings.state.mkdir(mode=0o700)
    path, page = delta_log_of(settings.state, settings.artifact), 4_096
    with closing(DeltaLog(path)) as log:
        log.append(Happened(users=[(n, {"age": f"of {n}"}) for n in range(10_000, 15_000)]))
    content = path.read_bytes()
    first = content.index(b'"of 12500"') // page * page
    path.write_bytes(content[:first] + bytes(page) + content[first + page :])
    return path


def test_a_log_that_cannot_be_read_takes_nothing_until_it_is_moved_away(settings, damaged, request):
    with closing(DeltaLog(damaged)) as log:
        log.append(Happened(hidden=[(7, True)]))
    locked = request.getfixturevalue("locked")
    event = {"user_id": 200, "post_id": 1, "time": MOMENT}
    for _ in range(2):  # right after the start, and once it has failed again
        for answer in (
            locked.put("/posts/3/hidden", headers=KEY),
            locked.delete("/posts/7/hidden", headers=KEY),
            locked.post("/feed", json={"events": [event]}, headers=KEY),
        ):
            assert answer.status_code == 507
            assert "move it away" in answer.json()["detail"]
        _wait(lambda: locked.get("/ready").json()["failing"] == ["follow_control"])
    assert _hidden(settings) == {7: True}

    damaged.rename(damaged.with_name("damaged"))
    _wait(lambda: locked.get("/ready").json()["failing"] == [])
    assert locked.put("/posts/3/hidden", headers=KEY).status_code == 200
    assert _hidden(settings) == {3: True}


def _wait(holds):
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come true"
