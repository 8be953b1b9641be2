"""A store that follows a log answers as one counted from the whole of it, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
import pytest

from feedrank.live.events import Events
from feedrank.live.live_store import LiveStore
from feedrank.ranking import candidates
from feedrank.ranking.top_k import Reach
from feedrank.state.feature_store import FeatureStore
from tests.live.followed import CUT, END, Followed, followed
from tests.support.simulated_logs import DAY, recommender_of

KINDS = [("1h", "profiles"), ("1h", "plugin")]
OTHERS = ("profiles", "tastes", "names", "sides", "pictures", "own ranker", "words")
KINDS += [("1d", kind) for kind in OTHERS]
MOMENTS = (-5, 9 * DAY, CUT - 90_000, CUT, CUT + 5_000, CUT + DAY, END - 4_000, END, END + 3 * DAY)


def _assert_same_answers(
    followed: Followed, live: FeatureStore, whole: FeatureStore, moments: Sequence[int] = MOMENTS
) -> None:
    ours, theirs = (recommender_of(followed.learned, store) for store in (live, whole))
    users = np.random.default_rng(2).permutation(whole.meta.n_users)[:40]
    n_compared = 0
    for at in moments:
        posts = np.arange(whole.meta.n_posts)
        for user in [*users.tolist(), whole.meta.n_users - 1]:
            first, second = ours.rank(user, at, 10), theirs.rank(user, at, 10)
            assert first.post.tolist() == second.post.tolist(), (user, at)
            assert first.probability.tobytes() == second.probability.tobytes()
            n_compared += 1
        matrices = [r.matrix(user, at, posts).tobytes() for r in (ours, theirs)]
        assert matrices[0] == matrices[1]
    assert n_compared > 300


@pytest.mark.parametrize(("step", "kind"), KINDS)
def test_a_followed_store_answers_as_a_counted_one(step: str, kind: str) -> None:
    log = followed(step, kind)
    live = LiveStore(log.learned.store)
    live.apply(log.events(), log.posts, log.users)
    _assert_same_answers(log, live.store(), log.whole())


@pytest.mark.parametrize(("seed", "kind"), [(0, "profiles"), (1, "plugin"), (2, "profiles")])
def test_neither_order_nor_batches_nor_repeats_matter(
    seed: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedrank.live.delta_rows.MOST_RECENT", 900 * seed)
    log, rng = followed("1h", kind), np.random.default_rng(seed)
    events = log.events(apart=0.5, seed=seed)
    in_order = np.argsort(events.at, kind="stable")
    mixed = events[rng.permutation(len(events)) if seed else in_order]
    live, ends = LiveStore(log.learned.store), []
    for number, part in enumerate(np.array_split(np.arange(len(mixed)), 12)):
        twice = rng.choice(part, len(part) // 3)
        live.apply(mixed[np.concatenate([part, twice])])
        if number == 4:
            live.apply(users=log.users, posts=log.posts[:9])
            live.apply(posts=log.posts)
        recommender_of(log.learned, live.store()).rank(3, END, 5)  # a state to carry over
        ends.append(live.store().meta.last_at + 3_600)  # of its step
    live.apply(Events.joined([mixed, events]), log.posts, log.users)  # all is there already
    _assert_same_answers(log, live.store(), log.whole(), [*MOMENTS, *ends[::3]])


def test_tiles_of_a_followed_store_hold_its_new_posts(monkeypatch: pytest.MonkeyPatch) -> None:
    log = followed("1d", "tastes")
    live = LiveStore(log.learned.store)
    live.apply(posts=log.posts)
    for name, value in (("FEWEST_TILED", 1), ("MOST_TILES", inf), ("FEWEST_SHOWN", 1)):
        monkeypatch.setattr(candidates, name, value)
    recommender, first = recommender_of(log.learned, live.store()), log.learned.store.meta.n_posts
    requests = recommender.requests(np.arange(60), np.full(60, END))
    generator, reach = recommender.first_stage, Reach(1, inf)
    is_open = [lambda post: post[post >= first]] * 60
    found = generator.search(requests, is_open, 200, reach)
    later = np.arange(first, live.store().meta.n_posts)
    expected = generator.cut(requests, [later] * 60, 200, reach)
    assert found is not None
    assert [p.tolist() for p in found[0]] == [p.tolist() for p in expected[0]]
    assert found[0][0].tolist() == later.tolist()
