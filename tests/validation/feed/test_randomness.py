from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.demo.simulation import Network
from feedrank.log.impressions import Impressions
from feedrank.state.history import InteractionSample
from feedrank.validation.feed.excess import CERTAIN
from feedrank.validation.feed.following import following_of
from feedrank.validation.feed.homogeneity import excess_of
from feedrank.validation.feed.randomness import Finding, exposure_in_words, randomness_of, said_of
from feedrank.validation.feed.strata import Strata, strata_of
from tests.support.network.feeds import FEEDS, store_of
from tests.support.scratch import scratch
from tests.support.simulated_logs import (
    DAY,
    USUAL,
    Learned,
    learned,
    params,
    posts_table,
    random_rows,
    simulated,
    users_table,
    workers,
    write_log,
)

SINCE, UNTIL = 21, 30
STEPS = range(SINCE, UNTIL)


@pytest.fixture(scope="module")
def small() -> Learned:
    return simulated()


def _findings(small: Learned) -> dict[str, Finding]:
    return {f.name: f for f in randomness_of(small.store, *_users(small), STEPS)}


def _users(small: Learned) -> tuple[np.ndarray, Strata]:
    users, codes = np.arange(small.log.meta.n_users), np.asarray(small.store.catalogue.codes)
    return users, strata_of(small.store.history, codes, users, STEPS)


def test_users_of_another_feed_are_asked_nothing(small: Learned) -> None:
    rows, users = _rows(small), np.arange(small.log.meta.n_users)
    chosen = (rows.user % 3 == 0) & (rows.at >= SINCE * DAY)
    of_day = (rows.at // DAY % 5).astype(rows.post.dtype)
    other = _of_rows(small, replace(rows, post=np.where(chosen, of_day, rows.post)))
    codes = np.asarray(other.store.catalogue.codes)

    def unfair(left_out: np.ndarray) -> list[str]:
        strata = strata_of(other.store.history, codes, users, STEPS, left_out)
        found = randomness_of(other.store, users, strata, STEPS)
        assert bool(found) == (len(left_out) < len(users))
        return [f.name for f in found if not f.is_fair]

    assert unfair(users[:0]) != []
    assert unfair(users[::3]) == []
    assert unfair(users) == []


def _of_rows(small: Learned, rows: Impressions) -> Learned:
    """A store of other impressions, with the same fitted parameters."""
    directory = scratch() / f"other-{len(rows)}-{int(rows.post.sum())}"
    log = write_log(directory, small.log.users, small.log.posts, rows.sorted())
    with workers(1):
        store = store_of(small.store, log, small.params.features.segments)
    return replace(small, log=log, store=store)


def _rows(small: Learned) -> Impressions:
    return Impressions.joined(small.log.buckets())


def _sample(n: int, n_posts: int, seed: int, n_users: int = 40) -> InteractionSample:
    """Draws of the same shares for everybody."""
    rng = np.random.default_rng(seed)
    user = np.sort(rng.integers(0, n_users, n))
    post = (n_posts * rng.random(n) ** 1.5).astype(np.int64)
    step, liked, users = rng.integers(0, 5, n), rng.random(n) < 0.2, np.arange(n_users)
    return InteractionSample(users, users % 2, user, post, step, liked)


def test_pairs_within_units_are_those_counted_one_by_one() -> None:
    sample = _sample(60, 7, seed=1, n_users=6)
    unit = sample.user // 2
    pairs = expected = 0.0
    for segment in (0, 1):
        here = sample.segment[sample.user] == segment
        u, who, post = unit[here], sample.user[here], sample.post[here]
        n, same = len(u), (u[:, None] == u).astype(float)
        weight = same - same.mean(0) - same.mean(1)[:, None] + same.mean()
        apart = (who[:, None] != who) | (u[:, None] != u)
        of_one = post[:, None] == post
        chance = of_one[apart].mean()
        pairs += np.sum((weight * (of_one - chance))[apart])
        expected += chance * np.sum(same[apart])
        assert n > 10
    found = excess_of(sample, unit)
    assert found.beyond == pytest.approx(pairs)
    assert found.expected == pytest.approx(expected)


@pytest.mark.parametrize(("n", "n_posts"), [(3_000, 50), (1_500, 2_000)])
def test_z_of_units_is_a_z_however_few_the_rows(n: int, n_posts: int) -> None:
    found = [excess_of(v, v.user % 7) for v in (_sample(n, n_posts, seed) for seed in range(60))]
    z = np.array([f.z for f in found])
    assert abs(z.mean()) < 3 / np.sqrt(len(z))
    assert 0.7 < z.std() < 1.3


def test_z_of_repeats_and_tastes_is_a_z_however_few_the_rows(small: Learned) -> None:
    rows, rng = _rows(small), np.random.default_rng(0)
    mixed = [replace(rows, post=rng.permutation(rows.post))[rng.random(len(rows)) < 0.1]
             for _ in range(20)]  # fmt: skip
    found = [_findings(_of_rows(small, some)) for some in mixed]
    for name in ("repeats", "past_likes", "follows_likes"):
        z = np.array([f[name].z for f in found])
        assert abs(z.mean()) < 3 / np.sqrt(len(z)), name
        assert 0.6 < z.std() < 1.4, name


def test_a_random_feed_is_found_to_be_random(small: Learned) -> None:
    found = _findings(small)
    assert {"by_day", "repeats", "liked_again", "follows_likes", "past_likes"} <= found.keys()
    assert len(found) == 5 + len(small.store.fitted.column_names)
    assert [f.name for f in found.values() if not f.is_fair] == []


@pytest.mark.parametrize(
    ("feed", "test"),
    [
        ("liked again", "liked_again"),
        ("liked clusters", "repeats"),
        ("follows likes", "follows_likes"),
        ("true tastes", "repeats"),
        ("private halves", "repeats"),
        ("by day", "by_day"),
    ],
)
def test_a_feed_that_chooses_is_found_out(small: Learned, feed: str, test: str) -> None:
    network = Network.simulate(USUAL)
    rows = FEEDS[feed](network, _rows(small), np.random.default_rng(0))
    found = _findings(_of_rows(small, rows))[test]
    assert abs(found.size) > found.limit
    assert found.verdict == "not random"


def test_a_feed_that_shows_what_users_are_predicted_to_like_is_found_out(small: Learned) -> None:
    rows = _rows(small)
    fitted = small.store.fitted
    cluster = fitted.refit(SINCE).clusters.cluster[rows.post]
    cell = rows.user.astype(int) * fitted.n_clusters + cluster
    early = rows.at < SINCE * DAY
    shown, liked = (
        np.bincount(cell[early], w, small.log.meta.n_users * fitted.n_clusters)
        for w in (None, rows.liked[early])
    )
    is_dull = ((liked + 1) / (shown + 8) < 1 / 8)[cell] & ~early
    kept = ~is_dull | (np.random.default_rng(0).random(len(rows)) < 0.3)
    found = _findings(_of_rows(small, rows[kept]))["past_likes"]
    assert found.size > found.limit
    assert not found.is_fair


def test_a_feed_that_differs_by_a_profile_column_is_found_out(small: Learned) -> None:
    rows = _rows(small)
    column = small.store.fitted.column_names.index("gender")
    code = np.asarray(small.store.catalogue.codes)[rows.user, column]
    rng = np.random.default_rng(0)
    kept = (rows.post % 2 == code % 2) | (rng.random(len(rows)) < 0.3)
    other = _of_rows(small, rows[kept])
    users, strata = _users(other)
    alike = replace(strata, of_user=0 * strata.of_user)
    found = {f.name: f for f in randomness_of(other.store, users, alike, STEPS)}["by_gender"]
    assert found.size > 0.3
    assert not found.is_fair
    assert [f.name for f in randomness_of(other.store, users, strata, STEPS) if not f.is_fair] == []


def test_a_feed_that_never_shows_a_post_again_is_found_out(small: Learned) -> None:
    rows = _rows(small)
    pair = rows.user.astype(np.int64) * small.log.meta.n_posts + rows.post
    order = np.lexsort((rows.at, pair))
    kept = np.zeros(len(rows), bool)
    kept[order[np.flatnonzero(np.diff(pair[order], prepend=-1))]] = True
    found = _findings(_of_rows(small, rows[kept]))["repeats"]
    assert found.size == -1
    assert not found.is_fair


def test_a_log_without_tastes_cannot_be_tested_for_them() -> None:
    rows = random_rows(4_000, 50, 40, days=14, sessions=300).sorted()
    log = write_log(scratch() / "alike", users_table(50), posts_table(40, topics=1), rows)
    one_cluster = params(features={"warmup_days": 4, "clusters": 1, "factors": 0})
    store, _ = learned(log, one_cluster)
    strata, days = Strata(np.zeros(50, np.int64), (), np.zeros(0, np.int64)), range(10, 14)
    found = {f.name: f for f in randomness_of(store, np.arange(50), strata, days)}
    assert found["past_likes"].verdict == "cannot be tested"
    assert "set no post apart" in found["past_likes"].words
    assert found["by_day"].verdict == "passed"
    assert "2 cannot be tested (follows_likes, past_likes)" in said_of(list(found.values()))


def test_what_follows_is_counted_within_the_step_and_after_the_like() -> None:
    rows = [  # user, step, post, liked
        (0, 0, 0, 1), (0, 0, 2, 0), (0, 1, 1, 0), (0, 1, 0, 0), (0, 1, 2, 0),
        (1, 0, 0, 1), (1, 0, 1, 0), (1, 1, 2, 1),
    ]  # fmt: skip
    user, step, post, liked = np.array(rows).T
    users = np.arange(2)
    sample = InteractionSample(users, 0 * users, user, post, step, liked.astype(bool))
    found = following_of(sample, 0 * user, np.array([0, 0, 1]))
    # Impressions of topic 0 that others follow: liked ones with shares 0 and 1, others 1/2 and 0.
    assert found.n_liked == 2
    assert found.size == pytest.approx((1 / 2 - 1 / 4) / (3 / 8))


@pytest.mark.parametrize("what", ["day", "stratum"])
def test_what_is_shown_and_liked_more_on_a_day_or_in_a_stratum_does_not_follow(what: str) -> None:
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(2000), 10)
    of = user % 2  # a topic is shown thrice as often in one half, and liked more there
    post = (rng.random(len(user)) < np.where(of == 1, 0.6, 0.2)).astype(np.int64)
    liked = rng.random(len(user)) < np.where((post == 1) & (of == 1), 0.5, 0.1)
    users, zeros = np.arange(2000), np.zeros(len(user), np.int64)
    segment, day = (users % 2, zeros) if what == "stratum" else (0 * users, of)
    found, pooled = (
        following_of(InteractionSample(users, s, user, post, zeros, liked), d, np.arange(2))
        for s, d in ((segment, day), (0 * users, zeros))
    )
    assert pooled.z > CERTAIN
    assert abs(found.z) < 3


def test_one_post_or_one_unit_cannot_be_unlike_others() -> None:
    sample = _sample(500, 1, seed=0)
    for some, unit in ((sample, sample.user % 7), (_sample(500, 9, seed=0), 0 * sample.user)):
        assert excess_of(some, unit).variance == 0


def test_a_small_significant_difference_did_not_pass() -> None:
    found = [Finding(n, 0.1, z, 0.25, "words") for n, z in (("a", CERTAIN), ("b", 1.0))]
    assert all(f.is_fair for f in found)
    assert said_of(found) == "Tests of the feed: 1 of 2 passed; 1 small (a)."


def test_the_columns_that_exposure_depends_on_are_named() -> None:
    assert exposure_in_words([]) == "The posts shown depend on no profile column."
    assert "depend on age and os, which" in exposure_in_words(["age", "os"])
