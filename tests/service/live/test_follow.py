"""What is appended to the delta log is in the next lists: new posts, users, likes, hidden posts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from feedrank.batch.lists import followed_artifact
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import IMPRESSION, LIKE, LIKED, Happened
from service.serving.inference import Inference
from service.serving.model_slot import Slot
from service.settings import Settings
from tests.support.small_artifact import PATH, edit_manifest

pytest_plugins = ("tests.support.service_fixtures",)
NEW = 10**9  # an id that nobody has


@pytest.fixture
def slot(settings: Settings) -> Slot:
    inference = Inference(settings)
    inference.deltas.log.append(Happened())
    return inference.slots["control"]


def _append(slot: Slot, happened: Happened) -> None:
    log = slot._open_log()
    assert log is not None
    log.append(happened)
    slot.follow()
    slot.settle()


def _seconds(artifact: Artifact, after: int) -> int:
    origin = (artifact.store.meta.origin_at - datetime(1970, 1, 1)).total_seconds()
    return int(origin) + artifact.store.meta.last_at + after


def _list(slot: Slot, user: int, after: int, k: int = 400) -> list[int]:
    artifact = slot.current.artifact
    at = slot.current.artifact.store.meta.last_at + after
    ranked = artifact.recommender.rank(artifact.store.catalogue.user(user), at, k)
    return [int(i) for i in artifact.store.catalogue.post_ids[ranked.post]]


def test_a_new_post_is_listed_and_a_hidden_one_is_not(slot: Slot, user_id: int) -> None:
    first = _list(slot, user_id, 60)
    _append(slot, Happened(posts=[(NEW, "a text", "a topic")], hidden=[(first[0], True)]))
    assert set(_list(slot, user_id, 60)) == set(first[1:]) | {NEW}
    _append(slot, Happened(hidden=[(first[0], False), (NEW, True)]))
    assert set(_list(slot, user_id, 60)) == set(first)


def test_new_topics_are_told_apart_by_their_text(
    client: TestClient, artifact: Artifact, user_id: int
) -> None:
    of_topic = {"red": [NEW], "green": [NEW + 1, NEW + 2, NEW + 3], "blue": [NEW + 4]}
    posts = [{"id": post, "topic": topic} for topic, ids in of_topic.items() for post in ids]
    at = artifact.as_of + timedelta(seconds=1)
    events = [
        {"user_id": user_id, "post_id": post, "time": at.isoformat(), "liked": post == NEW + 2}
        for post in (NEW, NEW + 1, NEW + 2)
    ]
    client.post("/feed", json={"posts": posts, "events": events}).raise_for_status()
    query = {"id": user_id, "time": (at + timedelta(days=2)).isoformat()}

    def topics() -> dict[str, tuple[int, int]]:
        found = client.get("/feed", params=query).json()["topics"]
        return {one["topic"]: (one["n_shown"], one["n_liked"]) for one in found}

    _wait(lambda: len(topics().keys() & of_topic) > 0)
    assert topics()["red"] == (1, 0)
    assert topics()["green"] == (2, 1)
    assert "blue" not in topics()
    n_known = artifact.store.fitted.n_topics
    named = client.get("/feed/suggestions").json()["topics"]
    assert len(named) == len(set(named)) == min(12, n_known + 3)
    if n_known <= 9:
        assert set(of_topic) <= set(named)
        assert named.index("green") < named.index("red") < named.index("blue")


def test_a_request_keeps_the_store_that_it_began_with(slot: Slot, user_id: int) -> None:
    before, lists = slot.current, [_list(slot, user_id, 60)]
    _append(slot, Happened(posts=[(NEW, "a text", "a topic")]))
    assert slot.current is not before
    assert slot.current.identity == before.identity
    assert before.artifact.store.catalogue.post(NEW) < 0
    assert NEW in _list(slot, user_id, 60)
    assert NEW not in lists[0]


def test_likes_count_from_the_next_step_on(slot: Slot, user_id: int) -> None:
    artifact = slot.current.artifact
    post = _list(slot, user_id, 60)[30]
    likers = [int(i) for i in artifact.store.catalogue.user_ids]
    at = _seconds(artifact, 5)
    events = [(liker, post, at, LIKED, None) for liker in likers]
    old = [_list(slot, user_id, after) for after in (-100_000, 60, 200_000)]
    _append(slot, Happened(events=events))
    at = slot.current.artifact.store.meta.last_at
    assert at == artifact.store.meta.last_at + 5
    new = [_list(slot, user_id, after - 5) for after in (-100_000, 60, 200_000)]
    assert new[0] == old[0]  # what was known then
    assert old[2].index(post) > new[2].index(post) == 0


@pytest.mark.parametrize(("window", "n_likes"), [(60, 0), (91, 1), (None, 1)])
def test_a_like_apart_is_within_the_window_of_the_artifact(
    artifact_path: Path, tmp_path: Path, user_id: int, window: int | None, n_likes: int
) -> None:
    directory = Path(shutil.copytree(artifact_path, tmp_path / "copy"))
    edit_manifest(directory, like_window=window)  # None: as of an earlier version
    with closing(DeltaLog(tmp_path / "delta.sqlite")) as log:
        slot = Slot("control", directory, lambda _: None, open_log=lambda: log)
        meta = slot.current.artifact.store.meta
        at = [_seconds(slot.current.artifact, after) for after in (1, 91)]
        post = int(slot.current.artifact.store.catalogue.post_ids[5])
        shown, liked = (
            (user_id, post, *row, None) for row in zip(at, (IMPRESSION, LIKE), strict=True)
        )
        log.append(Happened(events=[shown, liked]))
        slot.follow()
        batch = followed_artifact(directory, log.path, log.place())
    for followed in (slot.current.artifact, batch):
        assert followed.store.meta.n_impressions == meta.n_impressions + 1
        assert followed.store.meta.n_likes == meta.n_likes + n_likes


def test_a_service_that_starts_again_knows_it_all(settings: Settings, user_id: int) -> None:
    Inference(settings).deltas.log.append(
        Happened(posts=[(NEW, "a text", "a topic")], users=[(NEW, {"age": 30})])
    )
    slot = Inference(settings).slots["control"]
    assert NEW in _list(slot, user_id, 60)
    assert NEW in _list(slot, NEW, 60)


def test_a_damaged_delta_log_stops_no_answer(settings: Settings, user_id: int) -> None:
    inference = Inference(settings)
    path = inference.deltas.path
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"no database at all, and long enough to be read as one" * 100)
    slot = Inference(settings).slots["control"]
    assert _list(slot, user_id, 60)
    with pytest.raises(Exception, match="delta log"):
        slot.follow()


def test_a_running_service_starts_a_new_log_where_one_was_moved_away(
    settings: Settings, user_id: int
) -> None:
    inference = Inference(settings)
    slot = inference.slots["control"]
    inference.deltas.log.append(Happened(posts=[(NEW, "a text", "a topic")]))
    slot.follow()
    assert NEW in _list(slot, user_id, 60)
    inference.deltas.path.rename(inference.deltas.path.with_name("away"))
    inference.deltas.log.append(Happened(posts=[(NEW + 1, "a text", "a topic")]))
    slot.follow()
    assert {NEW, NEW + 1} & set(_list(slot, user_id, 60)) == {NEW + 1}


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come true"


def test_a_running_service_lists_a_post_that_was_sent(client: TestClient, user_id: int) -> None:
    sent = client.post("/feed", json={"posts": [{"id": NEW, "text": "a text", "topic": "a topic"}]})
    assert sent.status_code == 200
    query = {"id": user_id, "time": "2021-10-20T18:00:00", "limit": 100, "candidates": str(NEW)}

    def is_listed() -> bool:
        return NEW in [post["id"] for post in client.get(PATH, params=query).json()]

    _wait(is_listed)


def test_metrics_count_the_requests_of_a_user_who_came(client: TestClient) -> None:
    client.post("/feed", json={"users": [{"id": NEW, "profile": {"age": 30}}]})
    query = {"id": NEW, "time": "2021-10-20T18:00:00"}
    _wait(lambda: client.get(PATH, params=query).status_code == 200)
    told = client.get("/metrics")
    assert told.status_code == 200
    counted = 'feedrank_requests_by_profile_total{arm="control",column="city",value="missing"}'
    assert counted in told.text
