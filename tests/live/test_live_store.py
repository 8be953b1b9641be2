"""What acts at once, what waits, and what a store that was given keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.live.events import IMPRESSION, LIKE, LIKED, Events, HiddenPost, NewPost
from feedrank.live.live_store import LiveStore
from feedrank.log.metadata import ALWAYS, NEVER
from tests.live.followed import EPOCH, followed
from tests.support.simulated_logs import DAY, Learned, recommender_of


@pytest.fixture
def learned() -> Learned:
    return followed("1d").learned


def _events(learned: Learned, *rows: tuple[int, int, int, int]) -> Events:
    """Events of (row of the user, row of the post, seconds after the log's end, kind)."""
    user, post, after, kind = np.array(rows, np.int64).reshape(-1, 4).T
    meta, catalogue = learned.log.meta, learned.store.catalogue
    at = int((meta.origin_at - EPOCH).total_seconds()) + meta.last_at + after
    ids = (catalogue.user_ids[user], catalogue.post_ids[post])
    return Events(np.arange(len(user)), *ids, at, kind.astype(np.uint8))


@pytest.mark.parametrize(("rule", "barred"), [("seen", {7, 9}), ("liked", {9}), ("nothing", set())])
def test_what_was_just_seen_or_liked_is_out_at_once(
    learned: Learned, rule: str, barred: set[int]
) -> None:
    live, end = LiveStore(learned.store), learned.log.meta.last_at
    before = recommender_of(learned, live.store(), exclude=rule)
    live.apply(_events(learned, (3, 7, 10, IMPRESSION), (3, 9, 11, LIKED), (4, 11, 11, LIKED)))
    now = recommender_of(learned, live.store(), exclude=rule)
    every = set(before.open_posts(3, end + 60).tolist())
    assert every - set(now.open_posts(3, end + 60).tolist()) == barred & every
    assert set(now.open_posts(3, end + 9).tolist()) == every  # it was not shown yet
    assert set(before.open_posts(3, end + 60).tolist()) == every  # a store stays as it was
    past = end - 5 * DAY
    assert now.open_posts(3, past).tolist() == before.open_posts(3, past).tolist()


def test_a_like_apart_is_of_the_last_impression_within_its_window(learned: Learned) -> None:
    live = LiveStore(learned.store, like_window=60)
    live.apply(_events(learned, (3, 7, 100, LIKE), (3, 7, 250, LIKE), (5, 8, 101, LIKE)))
    assert not live.store().history.later.n_shown(10).any()  # type: ignore[attr-defined]
    live.apply(_events(learned, (3, 7, 30, IMPRESSION), (3, 7, 90, IMPRESSION)))
    live.apply(_events(learned, (3, 7, 190, IMPRESSION), (5, 8, 102, IMPRESSION)))
    later = live.store().history.later  # type: ignore[attr-defined]
    end = learned.log.meta.last_at
    assert [later.of_user(3)[0].tolist(), (later.of_user(3)[1] - end).tolist()] == [
        [7, 7, 7],
        [30, 90, 190],
    ]
    assert later.of_user(3)[2].tolist() == [False, True, False]
    assert later.of_user(5)[2].tolist() == [False]
    likes = live.store().meta.n_likes - learned.log.meta.n_likes
    assert likes == 1


def test_a_label_moves_when_an_impression_comes_late(learned: Learned) -> None:
    live = LiveStore(learned.store)
    live.apply(_events(learned, (3, 7, 30, IMPRESSION), (3, 7, 100, LIKE)))
    live.apply(_events(learned, (3, 7, 90, IMPRESSION)))
    later = live.store().history.later  # type: ignore[attr-defined]
    assert later.of_user(3)[2].tolist() == [False, True]
    assert live.store().meta.n_likes == learned.log.meta.n_likes + 1


def test_what_the_artifact_holds_is_left_out(learned: Learned) -> None:
    live = LiveStore(learned.store)
    assert not live.apply(_events(learned, (3, 7, 0, LIKED), (3, 8, -50, LIKED)))
    assert live.n_late == 2


def test_a_hidden_post_may_come_after_it_was_hidden(learned: Learned) -> None:
    live = LiveStore(learned.store)
    live.apply(hidden=[HiddenPost(1, 10**6, True)])
    live.apply(posts=[NewPost(1, 10**6, "", ""), NewPost(2, 10**6 + 1, "", "")])
    catalogue = live.store().catalogue
    is_open = set(catalogue.open_posts(0).tolist())
    assert {catalogue.post(10**6), catalogue.post(10**6 + 1)} & is_open == {
        catalogue.post(10**6 + 1)
    }
    live.apply(hidden=[HiddenPost(2, 10**6, None)])
    assert live.store().catalogue.post(10**6) in live.store().catalogue.open_posts(0)


def test_a_post_that_the_artifact_hides_is_opened_by_the_source_alone(learned: Learned) -> None:
    catalogue = learned.store.catalogue
    hidden_from = np.full(len(catalogue.post_ids), NEVER)
    hidden_from[3] = ALWAYS
    hides = replace(learned.store, catalogue=replace(catalogue, hidden_from=hidden_from))
    live, post = LiveStore(hides), int(catalogue.post_ids[3])
    is_open = []
    for number, is_hidden in enumerate((True, None, False, None)):
        live.apply(hidden=[HiddenPost(number, post, is_hidden)])
        is_open.append(3 in live.store().catalogue.open_posts(0))
    assert is_open == [False, False, True, False]


def test_a_new_post_is_a_candidate_before_the_feed_shows_it(learned: Learned) -> None:
    live, end = LiveStore(learned.store), learned.log.meta.last_at
    live.apply(posts=[NewPost(1, 10**6, "", "")])
    new = live.store().catalogue.post(10**6)
    for at in (5 * DAY, end + 60):
        assert new in recommender_of(learned, live.store()).open_posts(3, at)


def test_states_that_no_row_changes_are_carried_over(learned: Learned) -> None:
    live = LiveStore(learned.store)
    end = learned.store.shared.n_steps
    states = [live.store().states.as_of(step) for step in (3, end - 1, end)]
    live.apply(_events(learned, (3, 7, 10, IMPRESSION)))
    first_changed = (learned.log.meta.last_at + 10) // DAY
    assert first_changed == end - 1
    again = [live.store().states.as_of(step) for step in (3, end - 1, end)]
    assert [old is new for old, new in zip(states, again, strict=True)] == [True, True, False]


def test_changed_states_stay_until_they_settle_if_asked(learned: Learned) -> None:
    live, exact = LiveStore(learned.store, settles=True), LiveStore(learned.store)
    end = learned.store.shared.n_steps
    before = live.store().states.as_of(end)
    for one in (live, exact):
        one.apply(_events(learned, (3, 7, 10, IMPRESSION)))
    states, of_exact = live.store().states, exact.store().states.as_of(end)
    assert states.as_of(end) is before
    states.settle()
    assert states.as_of(end) is not before
    assert states.as_of(end).impression_count.tobytes() == of_exact.impression_count.tobytes()
    assert of_exact.impression_count[7] > before.impression_count[7]
    live.apply(posts=[NewPost(1, 10**6, "", "")])
    assert live.store().states.as_of(end).impression_count.shape == (before.quality.size + 1,)
