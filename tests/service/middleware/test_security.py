"""Security, limits, log lines and settings of the service."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest
from starlette.testclient import TestClient

from feedrank.errors import ParamsError
from service.app import create_app
from service.middleware.security import Security
from service.monitoring.logs import JsonLines
from service.serving.limiter import BusyError, Limiter
from service.settings import Settings
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)
CASES = [PATH, "/", "/docs", "/health", "/nowhere", "/static/page.js", f"{PATH}?id=x"]


@pytest.fixture
def locked(settings):
    """A service that asks for a key."""
    with TestClient(create_app(settings.model_copy(update={"api_key": "sesame"}))) as client:
        yield client


@pytest.mark.parametrize("path", CASES)
def test_every_answer_has_the_security_headers_and_an_id(client, path):
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert len(headers["X-Request-ID"]) == 16
    assert "Access-Control-Allow-Origin" not in headers


def test_an_answer_keeps_the_headers_that_it_sets_itself():
    async def app(scope, receive, send):
        own = iter([(b"cache-control", b"no-cache"), (b"x-own", b"1")])
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body"})

    headers = TestClient(Security(app, None)).get("/").headers

    assert headers.get_list("cache-control") == ["no-cache"]
    assert headers["x-own"] == "1"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_pages_of_named_hosts_may_use_an_answer(settings):
    origins = ("https://example.org",)
    app = create_app(settings.model_copy(update={"cors_origins": origins}))
    with TestClient(app) as client:
        headers = client.get("/health", headers={"Origin": origins[0]}).headers

    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Access-Control-Allow-Origin"] == origins[0]


def test_a_key_is_asked_for_where_users_are_concerned(locked, user_id):
    query = {"id": user_id, "time": MOMENT}
    for path in (PATH, f"{PATH}variant", f"{PATH}explain", "/feed", "/version", "/metrics"):
        refused = locked.get(path, params=query)
        assert refused.status_code == 401, path
        assert "X-API-Key" in refused.json()["detail"]
        wrong = locked.get(path, params=query, headers={"X-API-Key": "other"})
        assert wrong.status_code == 401

    for headers in ({"X-API-Key": "sesame"}, {"Authorization": "Bearer sesame"}):
        assert locked.get(PATH, params=query, headers=headers).status_code == 200


def test_a_key_of_any_letters_is_matched_by_its_utf8(settings, user_id):
    app = create_app(settings.model_copy(update={"api_key": "clé 鍵"}))
    query = {"id": user_id, "time": MOMENT}
    with TestClient(app) as client:
        for name, words in (("X-API-Key", ""), ("Authorization", "Bearer ")):
            for given, code in (("clé 鍵", 200), ("clé", 401), ("cle 鍵", 401)):
                headers = {name: f"{words}{given}".encode()}
                assert client.get(PATH, params=query, headers=headers).status_code == code


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/docs", "/static/page.js"])
def test_probes_and_the_pages_files_need_no_key(locked, path):
    assert locked.get(path).status_code == 200


def test_a_probe_with_a_trailing_slash_needs_no_key_either(locked):
    assert locked.get("/health/").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/", "/", "/docs", "/static/page.js"])
def test_a_prefix_that_a_proxy_takes_off_changes_nothing(settings, user_id, path):
    app = create_app(settings.model_copy(update={"api_key": "sesame"}))
    with TestClient(app, root_path="/rank") as client:
        assert client.get(f"/rank{path}").status_code == 200
        assert client.get(f"/rank{PATH}", params={"id": user_id}).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/feed/suggestions", "/version", PATH])
def test_a_slash_at_the_end_is_no_matter(client, user_id, path):
    query = {"id": user_id, "time": MOMENT} if path == PATH else {}
    answers = [
        client.get(form, params=query, follow_redirects=False)
        for form in (path.rstrip("/"), path.rstrip("/") + "/")
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


def test_a_redirect_keeps_the_proxys_scheme_and_prefix(client):
    answer = client.get("/docs/", follow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (307, "../docs")


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_addresses_of_a_page_are_relative(client, page):
    assert not re.findall(r"""(?:href|src)=["']/""", client.get(page).text)


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/docs", "/metrics"])
def test_head_is_answered_where_get_is(client, path):
    assert client.head(path).status_code == client.get(path).status_code == 200


def test_a_page_of_another_host_may_send_the_key_and_read_refusals(settings, user_id):
    origin = {"Origin": "https://news.example"}
    shared = settings.model_copy(update={"api_key": "k", "cors_origins": ("https://news.example",)})
    asks = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    query = {"id": user_id, "time": MOMENT}
    with TestClient(create_app(shared)) as client:
        preflight = client.options(PATH, headers={**origin, **asks})
        assert preflight.status_code == 200
        assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
        refused = client.get(PATH, params=query, headers=origin)
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://news.example"
        answer = client.get(PATH, params=query, headers={**origin, "Authorization": "Bearer k"})
        assert answer.status_code == 200
        assert "X-Known-Until" in answer.headers["Access-Control-Expose-Headers"]


def test_white_space_around_a_key_and_a_slash_after_an_origin_do_not_count():
    found = Settings(api_key=" sesame\n", cors_origins="https://news.example/, https://b.example")
    assert found.api_key == "sesame"
    assert found.cors_origins == ("https://news.example", "https://b.example")
    assert Settings(api_key=" ").api_key is None


@pytest.mark.parametrize("name", ["topics", "hidden", "Limit"])
def test_a_parameter_that_no_route_has_is_refused_by_name(client, user_id, name):
    refused = client.get(PATH, params={"id": user_id, "time": MOMENT, name: "1"})
    assert refused.status_code == 422
    assert f"'{name}' is not a parameter of this route" in refused.json()["detail"]
    assert "id, time, limit" in refused.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/docs/../feed", "//f"]
)
def test_an_open_path_does_not_open_another(locked, path):
    assert locked.get(f"http://testserver{path}").status_code in (401, 404)


def test_other_hosts_pages_may_read_answers_only_where_they_are_named(settings, user_id):
    named = settings.model_copy(update={"cors_origins": ("https://news.example",)})
    query = {"id": user_id, "time": MOMENT}
    with TestClient(create_app(named)) as client:
        for origin, allowed in [("https://news.example", True), ("https://other.example", False)]:
            headers = client.get(PATH, params=query, headers={"Origin": origin}).headers
            assert (headers.get("Access-Control-Allow-Origin") == origin) is allowed


def test_an_internal_error_is_not_shown(settings, user_id, monkeypatch):
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        monkeypatch.setattr(app.state.inference, "answer", lambda _: 1 / 0)
        answer = client.get(PATH, params={"id": user_id, "time": MOMENT})

    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-ID"]


def test_another_method_is_refused_with_those_that_are_answered(client):
    answer = client.post("/post/recommendations/explain")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert "GET only" in answer.json()["detail"]


def test_a_callers_own_request_id_is_kept_if_it_is_harmless(client):
    def answered(given):
        return client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert answered("a-1.b") == "a-1.b"
    for bad in ("x" * 65, "a b", '"}{'):
        assert answered(bad) != bad


def test_too_much_is_refused_at_once_and_the_rest_is_answered():
    async def crowd():
        limiter, order = Limiter(3), []

        async def work(number):
            try:
                async with limiter.admit():
                    order.append(number)  # without a pause, as scoring is
                    return "answered"
            except BusyError:
                return "refused"

        results = await asyncio.gather(*(work(n) for n in range(10)))
        return results, order, limiter.n_open

    results, order, left = asyncio.run(crowd())
    assert results == ["answered"] * 3 + ["refused"] * 7
    assert (order, left) == ([0, 1, 2], 0)


def test_a_full_service_says_when_to_retry(settings, user_id):
    app = create_app(settings.model_copy(update={"max_waiting": 1}))
    with TestClient(app) as client:
        app.state.inference.limiter.n_open = 1
        answer = client.get(PATH, params={"id": user_id, "time": MOMENT})
        health = client.get("/health")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert health.status_code == 200


def test_a_log_line_tells_the_request_and_of_the_user_only_the_id(client, user_id, caplog):
    with caplog.at_level(logging.INFO, "feedrank.service"):
        answer = client.get(PATH, params={"id": user_id, "time": MOMENT})

    (record,) = [r for r in caplog.records if r.getMessage() == "answered"]
    line = json.loads(JsonLines().format(record))
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert (line["user_id"], line["status"], line["route"]) == (user_id, 200, PATH)
    assert set(line) == {
        "at", "level", "logger", "event", "request_id", "route", "status", "ms", "user_id",
    }  # fmt: skip


def test_a_log_line_is_one_line_whatever_it_holds():
    record = logging.makeLogRecord({"msg": 'two\nlines "and" \u2028 more', "levelname": "INFO"})

    assert len(JsonLines().format(record).splitlines()[0].split("\n")) == 1
    assert json.loads(JsonLines().format(record))["event"].startswith("two\nlines")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FEEDRANK_TEST_SHARE", "1.5", "a share of the users from 0 to 1"),
        ("FEEDRANK_TEST_SHARE", "half", "a share"),
        ("FEEDRANK_TEST_SHARE", "nan", "a share"),
        ("FEEDRANK_MAX_WAITING", "0", "a whole number from 1"),
        ("FEEDRANK_POLL_SECONDS", "0", "seconds from 0.01"),
        ("FEEDRANK_LOG_LEVEL", "LOUD", "one of DEBUG"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_to_set(name, value, says, monkeypatch):
    monkeypatch.setenv(name, value)

    with pytest.raises(ParamsError, match=f"{name} is '{value}'; set {says}"):
        Settings.from_environment()


def test_settings_come_from_their_variables(monkeypatch):
    monkeypatch.setenv("FEEDRANK_ARTIFACT", "a")
    monkeypatch.setenv("FEEDRANK_CORS_ORIGINS", "x, y")
    monkeypatch.setenv("FEEDRANK_API_KEY", "")

    found = Settings.from_environment()

    assert (str(found.artifact), found.cors_origins, found.api_key) == ("a", ("x", "y"), None)
