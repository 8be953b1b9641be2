"""A newer artifact takes over with what it does not hold, and an older one with all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedrank.artifact.export import export
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import Happened
from feedrank.state.feature_store import FeatureStore
from service.deployment.switch import point
from service.links import previous_path
from service.live.retention import drop_held
from service.serving.model_slot import Slot
from tests.live.followed import CUT, END, Followed, followed
from tests.support.simulated_logs import DAY, recommender_of

HOUR = 3_600


def _export(of: Followed, store: FeatureStore, directory: Path) -> Path:
    features = directory.with_name(f"{directory.name}-features")
    features.mkdir(parents=True)
    store.save(features)
    ranker = directory.with_name(f"{directory.name}-ranker")
    ranker.mkdir()
    of.learned.ranker.save(ranker)
    rules = of.learned.params.export
    export(directory, features, ranker, rules, {}, seed=1, k=5)
    return directory


def _append_all(log: DeltaLog, of: Followed) -> None:
    events = of.events()
    columns = (events.user_id, events.post_id, events.at, events.kind)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    log.append(Happened(
        events=[(*row, None) for row in rows],
        posts=[(p.post_id, p.text, p.topic) for p in of.posts],
        users=[(u.user_id, {k: v if v == v else None for k, v in u.profile.items()})
               for u in of.users],
    ))  # fmt: skip


def _bits(slot: Slot) -> list[bytes]:
    """Of lists from all posts: one that no build found shown is a candidate only until that."""
    recommender = slot.current.artifact.recommender
    requests = [
        (user, at) for user in (0, 7, 150) for at in (CUT - DAY, CUT + HOUR, END, END + DAY)
    ]
    every = np.arange(len(recommender.catalogue.post_ids))
    return [recommender.rank(user, at, 10, every).probability.tobytes() for user, at in requests]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_swap_and_a_rollback_answer_as_the_whole_log(tmp_path: Path) -> None:
    of, link = followed("1d"), tmp_path / "live"
    whole = of.whole()
    older = _export(of, of.learned.store, tmp_path / "older")
    newer = _export(of, whole, tmp_path / "newer")
    log = DeltaLog(tmp_path / "delta.sqlite")
    _append_all(log, of)
    point(link, older)
    slot = Slot("control", link, lambda path: None, open_log=lambda: log)
    expected = recommender_of(of.learned, whole)
    first, every = _bits(slot), np.arange(len(expected.catalogue.post_ids))
    assert first[2] == expected.rank(0, END, 10, every).probability.tobytes()
    point(link, newer)
    slot.poll()
    assert slot.poll()
    slot.settle()
    assert _bits(slot) == first
    assert slot.current.tail.n_late == len(of.rows)  # it holds them all
    point(previous_path(link), older)
    assert drop_held(log, [link]) == 0  # a rollback needs them
    point(link, older)
    slot.poll()
    assert slot.poll()
    assert _bits(slot) == first
    point(previous_path(link), newer)
    point(link, newer)
    assert drop_held(log, [link, tmp_path / "none"]) == len(of.rows)
    assert len(log.events_after(0)) == 0
