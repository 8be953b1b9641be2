"""Posts that callers hide: durable, with a key alone."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from feedrank.live.delta_log import DeltaLog, delta_log_of
from service.app import create_app

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
    assert _hidden(settings) == {post: False}


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
