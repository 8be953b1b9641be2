"""The page at `/`, in a real browser."""

from __future__ import annotations

import time
from datetime import datetime

import httpx2
import pytest

from tests.support.browser import CHROMIUM, Browser
from tests.support.service_process import serving
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
SHOWN = "document.querySelectorAll('.post').length === 5 && !document.body.matches('.busy')"
IDS = "[...document.querySelectorAll('.post')].map(p => Number(p.dataset.id))"


@pytest.fixture(scope="module")
def server(artifact_path, tmp_path_factory):
    with serving(artifact_path, tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with Browser() as chromium:
        yield chromium


def address(server, user_id, at=MOMENT):
    return f"{server.address}/#id={user_id}&time={at}"


def expected(artifact, user_id, at):
    ranked = artifact.recommender.recommend(user_id, datetime.fromisoformat(at), 5)
    return [post for post, _ in ranked]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_page_shows_the_list_of_the_address(
    server, browser, artifact, user_id, width, height, scheme
):
    browser.show(address(server, user_id), width, height, scheme)
    browser.until(SHOWN)

    assert browser.run(IDS) == expected(artifact, user_id, MOMENT)
    wide = browser.run("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0  # nothing hangs over the edge
    dark = browser.run("getComputedStyle(document.body).color") != "rgb(25, 26, 35)"
    assert dark == (scheme == "dark")
    assert browser.complaints == []


def test_the_page_asks_no_other_host(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    named = [url for url in browser.requested if url.startswith("http")]
    assert len(named) > 5
    assert [url for url in named if not url.startswith(server.address)] == []


def test_who_asks_and_what_they_saw_before_is_shown(server, browser, artifact, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    recommender = artifact.recommender
    user = artifact.store.catalogue.user(user_id)
    post, _, liked = artifact.store.history.before(user, 19)
    assert recommender.step(19 * 86_400) == 19
    totals = browser.run("document.getElementById('totals').textContent")
    assert totals.startswith(f"{liked.sum()} of {len(post)} posts")
    n_lines = "document.querySelectorAll('#history li').length"
    assert len(post) > 40
    assert browser.run(n_lines) == 40
    assert browser.run("document.getElementById('all').textContent") == f"All {len(post)}"
    browser.run("document.getElementById('all').click()")
    browser.until(f"{n_lines} === {len(post)}")
    assert browser.run("document.getElementById('all').hidden")
    profile = browser.run("document.getElementById('profile').innerText")
    for column in artifact.store.columns:
        assert column.name.replace("_", " ") in profile


def test_a_suggested_user_is_one_click_away(server, browser, artifact, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    other = browser.run("document.querySelector('#users button').dataset.value")
    browser.run("document.querySelector('#users button').click()")
    browser.until(f"document.getElementById('summary').textContent.includes('user {other},')")

    assert browser.run(IDS) == expected(artifact, int(other), MOMENT)
    assert f"id={other}" in browser.run("location.hash")


def test_the_moment_moves_by_keyboard_and_the_feed_follows(server, browser, artifact, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    browser.run("document.getElementById('slider').focus()")
    for _ in range(6):
        browser.press("PageUp", 33)
    browser.press("ArrowRight", 39)
    browser.until("decodeURIComponent(location.hash).includes('2021-10-26T19:00')")
    browser.until(SHOWN)
    browser.until("document.getElementById('summary').textContent.includes('2021-10-26')")

    assert browser.run(IDS) == expected(artifact, user_id, "2021-10-26T19:00:00")


def test_every_control_can_be_reached_by_tab_and_has_a_name(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    nameless = browser.run(
        "[...document.querySelectorAll('input, button, a')].filter(e => !e.closest('template') && "
        "!(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim()))"
        ".map(e => e.outerHTML)"
    )
    assert nameless == []
    assert browser.run("document.querySelectorAll('[tabindex]:not([tabindex=\"-1\"])').length") == 0


def test_an_unknown_user_is_told_on_the_page(server, browser):
    browser.show(address(server, 123456789), 1280, 900)
    browser.until("!document.getElementById('problem').hidden")

    told = browser.run("document.getElementById('problem').textContent")
    assert "user 123456789 is not among" in told


def test_a_page_tells_how_far_behind_a_follower_is(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)
    told = "document.getElementById('following')"
    assert browser.run(f"{told}.hidden")

    follower = '{behind_seconds: 12.34, events: 5, error: "connection refused"}'
    browser.run(f"import('/static/following.js').then(m => m.tell({follower}))")

    assert not browser.run(f"{told}.hidden")
    assert browser.run(f"{told}.textContent") == ("12.3 s behind the database: connection refused")


def test_texts_are_shown_as_text(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    browser.run(
        "import('/static/feed.js').then(m => fetch('/feed?' + location.hash.slice(1))"
        ".then(a => a.json()).then(f => { f.recommendations[0].text = '<img src=x id=evil>'; "
        "m.showFeed(f); }))"
    )

    assert browser.run("document.getElementById('evil')") is None
    assert "<img" in browser.run("document.querySelector('.post .text').textContent")


def test_a_post_without_text_says_so(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    browser.run(
        "import('/static/feed.js').then(m => fetch('/feed?' + location.hash.slice(1))"
        ".then(a => a.json()).then(f => { f.recommendations[0].text = ' '; "
        "f.history[0].text = ''; m.showFeed(f); }))"
    )

    for place in (".post .text", "#history p"):
        assert browser.run(f"document.querySelector('{place}').textContent") == (
            "a post without text"
        )


def test_a_locked_service_asks_for_its_key_on_the_page(browser, artifact_path, tmp_path, user_id):
    report = tmp_path / "report.html"
    report.touch()
    locks = {"FEEDRANK_API_KEY": "sesame", "FEEDRANK_REPORT": str(report)}
    with serving(artifact_path, tmp_path, **locks) as locked:
        browser.show(address(locked, user_id), 1280, 900)
        browser.until("!document.getElementById('key-form').hidden")
        browser.run(
            "document.getElementById('key').value = 'sesame';"
            "document.getElementById('key-form').requestSubmit()"
        )
        browser.until(SHOWN)
        links = browser.run(
            "[...document.querySelectorAll('nav a')].filter(a => !a.hidden).map(a => a.textContent)"
        )
        assert links == ["API"]  # the others lead to what a link without a key does not get
        browser.show(f"{locked.address}/docs", 1280, 900)
        browser.until("document.querySelectorAll('details').length > 5")
        assert browser.run("document.getElementById('openapi').hidden")


def test_the_routes_can_be_tried_on_the_page_of_the_api(server, browser, user_id):
    browser.show(f"{server.address}/docs", 1280, 900)
    browser.until("document.querySelectorAll('details').length > 5")
    browser.run(
        "const form = document.querySelector('details form');"
        f"form.elements.id.value = '{user_id}'; form.requestSubmit()"
    )
    browser.until("document.querySelector('details pre').textContent.includes('topic')")

    assert browser.complaints == []
    shown = browser.run("document.querySelector('details code').textContent")
    assert shown == PATH


def test_a_like_changes_the_next_list_before_ones_eyes(
    artifact, artifact_path, browser, user_id, tmp_path
):
    latest = artifact.as_of.isoformat()
    with serving(artifact_path, tmp_path / "state") as server:
        browser.show(address(server, user_id, latest), 1280, 900)
        browser.until(SHOWN)
        totals = browser.run("document.getElementById('totals').textContent")
        liked = browser.run(IDS)[2]
        browser.run("document.querySelectorAll('.like')[2].click()")
        browser.until(f"{SHOWN} && document.querySelector('#history .liked')")
        browser.until("document.getElementById('history').firstChild.matches('.liked')")

        assert browser.complaints == []
        assert browser.run("document.getElementById('totals').textContent") != totals
        at = browser.run("document.getElementById('moment').value")
        known = {"id": user_id, "time": at, "limit": 100}
        page = httpx2.get(f"{server.address}/feed", params=known).json()
    assert page["history"][0]["id"] == liked
    assert page["history"][0]["liked"]


def test_ids_beyond_the_numbers_of_a_browser_are_kept(artifact, artifact_path, browser, tmp_path):
    user, post = 2**53 + 1, 2**62 + 1
    with serving(artifact_path, tmp_path / "state") as server:
        came = {"users": [{"id": user}], "posts": [{"id": post, "topic": "new"}]}
        httpx2.post(f"{server.address}/feed", json=came).raise_for_status()
        latest = artifact.as_of.isoformat()
        query = {"id": user, "time": latest, "topic": "new"}
        until = time.monotonic() + 20
        while not httpx2.get(f"{server.address}/feed", params=query).json().get("recommendations"):
            assert time.monotonic() < until, "the service did not follow"
        browser.show(f"{address(server, user, latest)}&topic=new", 1280, 900)
        browser.until("document.querySelector('.like')")

        assert browser.run("document.querySelector('.post').dataset.id") == str(post)
        assert f"user {user}," in browser.run("document.getElementById('summary').textContent")
        browser.run("document.querySelector('.like').click()")
        browser.until("document.querySelector('#history .liked')")
        page = httpx2.get(f"{server.address}/feed", params={"id": user, "time": "2999-01-01"})
    assert [shown["id"] for shown in page.json()["history"]] == [post]


def test_a_key_of_any_letters_opens_the_page(browser, artifact_path, tmp_path, user_id):
    with serving(artifact_path, tmp_path, FEEDRANK_API_KEY="clé 鍵") as locked:
        browser.show(address(locked, user_id), 1280, 900)
        browser.run("sessionStorage.setItem('key', 'clé 鍵')")
        browser.show(address(locked, user_id), 1280, 900)
        browser.until(SHOWN)
        browser.run("sessionStorage.clear()")


def test_a_past_list_has_no_likes(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    visible = "[...document.querySelectorAll('.like')].filter(b => b.offsetParent).length"
    assert browser.run(visible) == 0


def test_the_page_opens_at_the_latest_moment_of_the_log(server, browser, artifact):
    browser.show(f"{server.address}/", 1280, 900)
    browser.until(SHOWN)

    assert browser.run("document.getElementById('moment').value") == (
        artifact.as_of.isoformat(timespec="minutes")
    )


def test_an_error_leaves_no_former_feed_on_the_page(server, browser, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)

    browser.run(
        "document.getElementById('user').value = '123456789';"
        "document.getElementById('ask').requestSubmit()"
    )
    browser.until("!document.getElementById('problem').hidden")

    for left in ("list", "profile", "topics", "history"):
        assert browser.run(f"document.getElementById('{left}').children.length") == 0
    assert browser.run("document.getElementById('summary').textContent") == ""


def test_users_are_found_by_profile_and_posts_by_words(server, browser, artifact, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)
    column = artifact.store.columns[0]
    row = artifact.store.catalogue.user(user_id)
    label = column.label(int(artifact.store.catalogue.codes[row, 0]))
    word = artifact.store.text[0].split()[0]

    def find(words):
        browser.run(
            f"(w => {{ w.value = {words!r}; w.dispatchEvent(new Event('input')) }})"
            "(document.getElementById('words'))"
        )

    find(f"{column.name} {label}")
    browser.until("document.querySelectorAll('#found-users button').length > 1")
    browser.run("document.querySelector('#found-users button').click()")
    browser.until("document.querySelector('#found-users [aria-pressed=true]')")
    browser.until(SHOWN)
    profile = browser.run("document.getElementById('profile').innerText")
    assert label in profile

    find(word)
    browser.until("document.querySelectorAll('#found-posts li').length > 0")
    first = browser.run("document.querySelector('#found-posts li').textContent")
    assert word in first


def test_a_list_stays_beside_the_next_ones(server, browser, artifact, user_id):
    other, later = int(artifact.store.catalogue.user_ids[5]), "2021-10-26T18:00:00"
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)
    browser.run("document.getElementById('keep').click()")
    for asked, at in ((user_id, later), (other, MOMENT)):
        browser.run(
            f"document.getElementById('user').value = '{asked}';"
            f"document.getElementById('moment').value = '{at[:16]}';"
            "document.getElementById('ask').requestSubmit()"
        )
        known = at[:10] if asked == user_id else f"user {other},"
        browser.until(f"document.getElementById('summary').textContent.includes('{known}')")
        browser.until("!document.body.matches('.busy')")
        kept, now = (
            browser.run(f"[...document.getElementById('{name}').children].map(n => +n.dataset.id)")
            for name in ("kept-list", "list")
        )
        assert kept == expected(artifact, user_id, MOMENT)
        assert now == expected(artifact, asked, at)
        both = len(set(kept) & set(now))
        told = browser.run("document.getElementById('kept-both').textContent")
        assert told == f"{both} of 5 posts are in both lists"
        assert browser.run("document.querySelectorAll('.both').length") == 2 * both
    tops = "[...document.querySelectorAll('.feed')].map(n => n.getBoundingClientRect().top)"
    assert browser.run(f"new Set({tops}).size") == 1  # side by side
    browser.run("document.getElementById('drop').click()")
    browser.until(SHOWN)
    assert browser.complaints == []


def test_a_topic_is_one_click_away(server, browser, artifact, user_id):
    browser.show(address(server, user_id), 1280, 900)
    browser.until(SHOWN)
    topic = browser.run("document.querySelectorAll('#topic button')[2].dataset.value")
    browser.run("document.querySelectorAll('#topic button')[2].click()")
    browser.until(f"document.getElementById('summary').textContent.endsWith('topic {topic}')")

    named = browser.run("[...document.querySelectorAll('.post .topic')].map(n => n.textContent)")
    assert named == [topic] * 5
    assert f"topic={topic}" in browser.run("location.hash")
    browser.run("document.querySelector('#topic button').click()")
    browser.until("!location.hash.includes('topic')")
    browser.until(SHOWN)
    assert browser.run(IDS) == expected(artifact, user_id, MOMENT)
    assert browser.run("document.querySelectorAll('#arm button').length") == 0  # there is one
