from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from feedrank.coding import code_profiles
from feedrank.counts import StepCounts, Tally
from feedrank.log import Impressions
from feedrank.passes import count_posts
from feedrank.validation.exposure import Exposure
from feedrank.validation.randomness import Finding, randomness_of
from tests.logs import DAY, Learned, scratch, simulated, workers, write_log

SINCE, UNTIL = 21, 30


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _counts(shown: np.ndarray) -> StepCounts:
    """Impressions by step and key, shape (n_steps, n_keys)."""

    def steps() -> Iterator[Tally]:
        for row in shown:
            yield Tally(row, np.zeros_like(row))

    return StepCounts.of(steps(), shown.shape[1])


def _estimate(learned: Learned, shown: np.ndarray, since: int) -> Exposure:
    return Exposure.estimate(_counts(shown), learned.knowledge.encodings, since, len(shown))


def _drawn(learned: Learned, share: np.ndarray, n: int, steps: int = 10) -> np.ndarray:
    """Impressions drawn by shares of each segment, shape (steps, n_segments * n_posts)."""
    rng = np.random.default_rng(1)
    return np.array([rng.multinomial(n, s) for _ in range(steps) for s in share]).reshape(steps, -1)


def _shares(learned: Learned, spread: float, seed: int) -> np.ndarray:
    e = learned.knowledge.encodings
    weights = np.exp(spread * np.random.default_rng(seed).normal(size=(e.n_segments, e.n_posts)))
    return weights / weights.sum(1, keepdims=True)


def test_shares_are_found_better_than_by_counting_alone(learned: Learned) -> None:
    true = _shares(learned, 0.2, 0)
    shown = _drawn(learned, true, n=500)
    found = _estimate(learned, shown, since=7).share
    counted = shown[7:].sum(0).reshape(true.shape) / (3 * 500)
    assert found.sum(1) == pytest.approx(1)
    assert np.abs(found - true).mean() < 0.5 * np.abs(counted - true).mean()


def test_a_period_that_is_unlike_the_former_speaks_for_itself(learned: Learned) -> None:
    former, now = _shares(learned, 1.0, 0), _shares(learned, 1.0, 9)
    shown = np.concatenate([_drawn(learned, former, 5_000, 5), _drawn(learned, now, 5_000, 5)])
    found = _estimate(learned, shown, since=5).share
    assert np.abs(found - now).sum() < 0.2 * np.abs(found - former).sum()


def test_what_was_never_shown_has_no_share(learned: Learned) -> None:
    true = _shares(learned, 0.2, 0)
    true[:, :7] = 0
    shown = _drawn(learned, true / true.sum(1, keepdims=True), n=500)
    found = _estimate(learned, shown, since=5)
    assert (found.share[:, :7] == 0).all()
    segment, post = np.indices(true.shape).reshape(2, -1)
    relative = found.relative(segment, post).reshape(true.shape)
    assert relative[:, 7:].mean(1) == pytest.approx(1)


def _findings(learned: Learned) -> dict[str, Finding]:
    knowledge = learned.knowledge
    users = np.arange(learned.log.meta.n_users)
    exposure = Exposure.estimate(knowledge.shared.by_post, knowledge.encodings, SINCE, UNTIL)
    return {f.name: f for f in randomness_of(knowledge, exposure, users, SINCE, UNTIL)}


def test_a_random_feed_is_found_to_be_random(learned: Learned) -> None:
    found = _findings(learned)
    assert {"by_day", "repeats", "past_likes"} <= found.keys()
    assert len(found) == 3 + len(learned.knowledge.encodings.column_names) - 1
    assert [f.name for f in found.values() if not f.is_fair] == []
    assert found["repeats"].size == pytest.approx(1, abs=0.15)


def _lacking(learned: Learned, kept: np.ndarray) -> Learned:
    """What is learned, with the same encodings, from a log that lacks some impressions."""
    rows = Impressions.joined(learned.log.buckets())[kept].sorted()
    directory = scratch() / f"lacking-{int(kept.sum())}"
    log = write_log(directory, learned.log.users, learned.log.posts, rows)
    profiles = code_profiles(log.users, learned.params.features.segments)
    with workers(1):
        by_post, history = count_posts(log, profiles, learned.knowledge.encodings)
    shared = replace(learned.knowledge.shared, by_post=by_post)
    return replace(
        learned, log=log, knowledge=replace(learned.knowledge, shared=shared, history=history)
    )


def test_a_feed_that_follows_past_likes_is_found_out(learned: Learned) -> None:
    rows = Impressions.joined(learned.log.buckets())
    cluster = learned.knowledge.encodings.eras[0].groups.cluster[rows.post]
    n_groups = learned.knowledge.encodings.n_groups
    cell = rows.user.astype(int) * n_groups + cluster
    early = rows.at < SINCE * DAY
    shown, liked = (
        np.bincount(cell[early], w, learned.log.meta.n_users * n_groups)
        for w in (None, rows.liked[early])
    )
    rate = (liked + 1) / (shown + 8)
    is_dull = (rate < 1 / 8)[cell] & ~early
    kept = ~is_dull | (np.random.default_rng(0).random(len(rows)) < 0.3)
    found = _findings(_lacking(learned, kept))["past_likes"]
    assert found.size > 0.1
    assert not found.is_fair


def test_a_feed_that_differs_by_a_profile_column_is_found_out(learned: Learned) -> None:
    rows = Impressions.joined(learned.log.buckets())
    encodings = learned.knowledge.encodings
    column = next(
        i for i, n in enumerate(encodings.column_names)
        if i != encodings.segment_column and n == "gender"
    )  # fmt: skip
    code = np.asarray(learned.knowledge.catalogue.codes)[rows.user, column]
    rng = np.random.default_rng(0)
    kept = (rows.post % 2 == code % 2) | (rng.random(len(rows)) < 0.3)
    found = _findings(_lacking(learned, kept))["by_gender"]
    assert found.size > 0.3
    assert not found.is_fair


def test_a_feed_that_never_shows_a_post_again_is_found_out(learned: Learned) -> None:
    rows = Impressions.joined(learned.log.buckets())
    pair = rows.user.astype(np.int64) * learned.log.meta.n_posts + rows.post
    order = np.lexsort((rows.at, pair))
    kept = np.zeros(len(rows), bool)
    kept[order[np.flatnonzero(np.diff(pair[order], prepend=-1))]] = True
    found = _findings(_lacking(learned, kept))["repeats"]
    assert found.size == 0
    assert not found.is_fair


def test_a_feed_of_other_posts_each_day_is_found_out(learned: Learned) -> None:
    rows = Impressions.joined(learned.log.buckets())
    kept = (rows.post % 3 == rows.at // DAY % 3) | (rows.at < SINCE * DAY)
    found = _findings(_lacking(learned, kept))["by_day"]
    assert found.size > 0.3
    assert not found.is_fair
