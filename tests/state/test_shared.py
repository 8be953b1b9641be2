from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from feedrank.features.question import Question
from feedrank.features.spec import assemble, features_of
from feedrank.state import shared as module
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.counts.tally import Tally
from feedrank.state.posts.clusters import RATE_PRIOR
from feedrank.state.posts.tables import _membership
from feedrank.state.rates import StepRates, rates_within
from feedrank.state.shared import SharedHistory, SharedState
from feedrank.state.users import UserState, user_tables
from tests.support.simulated_logs import DAY, Learned, simulated

TABLES = {f.name for f in fields(SharedState)} - {f.name for f in fields(StepRates)}
TABLES -= {"by_key", "n_shown"}
OF_USERS = ("n_shown", "like_rate", "cluster", "topic", "factors")


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _shared(learned: Learned, keep: int | None = None) -> SharedHistory:
    return SharedHistory(learned.store.fitted, learned.store.shared, keep)


def _same(first: object, second: object) -> bool:
    return all(
        np.asarray(getattr(first, f.name)).tobytes()
        == np.asarray(getattr(second, f.name)).tobytes()
        for f in fields(first)  # type: ignore[arg-type]
        if f.name != "by_key"  # empty without a plugin
    )


def test_steps_outside_the_log_are_drawn_to_its_ends(learned: Learned) -> None:
    shared = _shared(learned)
    assert _same(shared.as_of(-5), shared.as_of(0))
    assert _same(shared.as_of(10**6), shared.as_of(shared.counts.n_steps))
    assert not _same(shared.as_of(10), shared.as_of(11))


def test_what_is_kept_is_what_would_be_derived_again(learned: Learned) -> None:
    few, many = _shared(learned, keep=2), _shared(learned)
    for step in (3, 20, 4, 3, 29, 20, 3):
        assert _same(few.as_of(step), many.as_of(step))


def test_no_more_states_are_kept_than_asked(learned: Learned) -> None:
    shared = _shared(learned, keep=3)
    for step in range(10):
        shared.as_of(step)
    recent = shared.as_of(9)
    assert shared.as_of(9) is recent
    assert shared.as_of(0) is not None
    assert len(shared._kept) == 3


@pytest.mark.parametrize("n_posts", [1, 2, 7, 60])
def test_some_posts_have_the_bits_that_they_have_among_all(learned: Learned, n_posts: int) -> None:
    few, every = _shared(learned, keep=2), _shared(learned)
    rng = np.random.default_rng(n_posts)
    for step in (0, 12, 3, every.counts.n_steps - 1):
        posts = rng.choice(learned.store.fitted.n_posts, n_posts, replace=False)
        some, all_of_them = few.of_posts(step, posts), every.as_of(step)
        for name, table in vars(all_of_them).items():
            own = getattr(some, name)
            if name in TABLES:
                assert own[..., posts].tobytes() == table[..., posts].tobytes(), name
                assert np.isnan(np.delete(own, posts, axis=-1)).all()
            elif name != "by_key":
                assert np.asarray(own).tobytes() == np.asarray(table).tobytes(), name


def test_kept_states_have_a_size_in_all(learned: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(x.nbytes for x in vars(_shared(learned).as_of(9)).values() if hasattr(x, "nbytes"))
    assert _shared(learned).keep == module.KEPT_STATES
    monkeypatch.setattr(module, "KEPT_BYTES", 20 * size)
    assert 8 <= _shared(learned).keep <= 20  # beside what the first stage keeps of each
    monkeypatch.setattr(module, "KEPT_BYTES", size)
    assert _shared(learned).keep == module.FEWEST_KEPT


def test_all_posts_are_derived_where_all_steps_are_kept(learned: Learned) -> None:
    shared = _shared(learned)
    assert shared.of_posts(5, np.array([1])) is shared.as_of(5)


def test_trends_of_windows_do_not_fade_with_the_strength_of_lifetime_ones(learned: Learned) -> None:
    fitted = learned.store.fitted
    refits = tuple(replace(r, strengths=replace(r.strengths, trend=1e5)) for r in fitted.refits)
    stiff = SharedHistory(replace(fitted, refits=refits), learned.store.shared)
    usual, other = _shared(learned).as_of(12), stiff.as_of(12)
    assert np.abs(other.trend).max() < 0.01 < np.abs(usual.trend).max()
    assert other.window_trend.tobytes() == usual.window_trend.tobytes()
    assert np.abs(usual.window_trend).max() > 0.3


def test_group_rates_are_the_smoothed_like_rates_of_a_segment() -> None:
    cluster = np.array([0, 1, 0])
    counts = Tally(np.array([[100, 50, 100], [0, 0, 0]]), np.array([[30, 0, 10], [0, 0, 0]]))
    rate = rates_within(cluster, 3, counts)
    overall = (40 + 1) / (250 + 10)
    assert rate[0, 0] == pytest.approx((40 + RATE_PRIOR * overall) / (200 + RATE_PRIOR))
    assert rate[0, 1] == pytest.approx(RATE_PRIOR * overall / (50 + RATE_PRIOR))
    assert rate[0, 2] == pytest.approx(overall)  # a cluster without posts
    np.testing.assert_allclose(rate[1], 0.1)  # a segment without impressions


def _users(learned: Learned, n: int) -> UserState:
    fitted = learned.store.fitted
    none = np.empty(0, np.int64)
    pairs = PairCounts(none, none, none, none, fitted.n_posts)
    codes = np.asarray(learned.store.catalogue.codes[:n])
    return UserState(fitted, fitted.refit(10), codes, pairs)


def test_a_user_without_history_is_like_everyone_of_the_segment(learned: Learned) -> None:
    tables = user_tables(_users(learned, 3), _shared(learned).as_of(10), np.arange(3))
    for name in OF_USERS:
        assert not getattr(tables, name).any(), name
    assert not any(table.any() for table in tables.latest)


def test_liking_more_than_expected_raises_a_user_and_less_lowers_one(learned: Learned) -> None:
    state, post = _users(learned, 2), np.arange(40)
    state.update(np.zeros(40, int), post, np.ones(40, np.uint8))
    state.update(np.ones(40, int), post, np.zeros(40, np.uint8))
    tables = user_tables(state, _shared(learned).as_of(10), np.arange(2))
    assert tables.like_rate[0] > 0 > tables.like_rate[1]


def test_liking_one_group_says_so_beyond_propensity(learned: Learned) -> None:
    cluster = learned.store.fitted.refit(10).clusters.cluster
    favourite = np.bincount(cluster).argmax()
    state = _users(learned, 1)
    post = np.arange(len(cluster))
    state.update(np.zeros(len(post), int), post, (cluster == favourite).astype(np.uint8))
    table = user_tables(state, _shared(learned).as_of(10), np.arange(1)).cluster[0]
    assert table.argmax() == favourite
    assert table[favourite] > 0


def test_users_do_not_feel_each_other(learned: Learned) -> None:
    """The same user alone, and among others who do as they please."""
    shared, n = _shared(learned).as_of(10), 50
    rng = np.random.default_rng(0)
    user, post = rng.integers(0, n, 4000), rng.integers(0, 250, 4000)
    liked = rng.integers(0, 2, 4000).astype(np.uint8)
    together = _users(learned, n)
    together.update(user, post, liked)
    tables = user_tables(together, shared, np.arange(n))
    for one in (0, 17, 49):
        alone = _users(learned, n)
        of = user == one
        alone.update(user[of], post[of], liked[of])
        found = user_tables(alone, shared, np.array([one]))
        for name in OF_USERS:
            assert getattr(found, name).tobytes() == getattr(tables, name)[[one]].tobytes(), name


def test_a_question_about_any_order_of_pairs_is_one_question(learned: Learned) -> None:
    shared, state = _shared(learned).as_of(10), _users(learned, 30)
    features = features_of(learned.store.fitted)
    rng = np.random.default_rng(1)
    user, post = rng.integers(0, 30, 500), rng.integers(0, 250, 500)
    at = rng.integers(0, 86_400, 500)
    order = rng.permutation(500)
    first = assemble(features, Question(shared, state, user, post, at))
    second = assemble(features, Question(shared, state, user[order], post[order], at[order]))
    assert first[order].tobytes() == second.tobytes()


def test_recent_counts_follow_the_half_life(learned: Learned) -> None:
    fitted = learned.store.fitted
    short, long = (
        SharedHistory(replace(fitted, half_life_steps=h), learned.store.shared).as_of(25)
        for h in (0.5, 1000.0)
    )
    # With an endless half-life, recent is all there was.
    np.testing.assert_allclose(long.recent_impression_count, long.impression_count, atol=0.05)
    assert np.abs(long.level) < np.abs(short.level)
    assert np.abs(short.recent_impression_count - short.impression_count).max() > 0.5


def test_a_state_reads_the_counts_of_its_own_refit(learned: Learned) -> None:
    store = learned.store
    first, second, *later = store.shared.by_column
    nothing = replace(second, liked=np.zeros_like(second.liked))
    changed = replace(store.shared, by_column=(first, nothing, *later))
    usual, other = _shared(learned), SharedHistory(store.fitted, changed)
    for step, is_same in ((8, True), (12, False), (29, True)):
        columns = (states.as_of(step).columns for states in (usual, other))
        assert np.array_equal(*columns) == is_same


def test_last_bits_of_a_feature_decide_nothing(learned: Learned) -> None:
    state = _shared(learned).as_of(20)
    for name in ("post_logit", "cluster_logit", "segment_post", "quality", "trend", "columns",
                 "log_age", "impression_count", "window_likes", "window_trend"):  # fmt: skip
        values = getattr(state, name)
        rounded = np.round(values.astype(np.float64), 4).astype(np.float32)
        np.testing.assert_array_equal(values, rounded, err_msg=name)


def test_posts_that_the_feed_never_showed_are_no_candidates(learned: Learned) -> None:
    shared, posts = _shared(learned), np.arange(250)
    rows = [b.post[b.at // DAY < 1].tolist() for b in learned.log.buckets()]
    shown = sorted(set().union(*rows))
    assert 100 <= len(shown) < 250
    assert shared.candidates_among(posts, 1, 5).tolist() == shown
    assert shared.candidates_among(posts[:99], 1, 5).tolist() == posts[:99].tolist()
    assert shared.candidates_among(posts, 1, 249).tolist() == posts.tolist()  # none is too short
    assert shared.candidates_among(posts, 0, 5).tolist() == posts.tolist()  # nothing was shown yet


def test_posts_that_came_after_the_fit_are_candidates_at_once(learned: Learned) -> None:
    fitted = replace(learned.store.fitted, n_later_posts=50)
    shared, posts = SharedHistory(fitted, learned.store.shared), np.arange(250)
    found = shared.candidates_among(posts, 1, 5)
    assert set(range(200, 250)) <= set(found.tolist())
    assert len(found) < 250


def test_memberships_that_are_denormal_as_float32_are_none() -> None:
    table = _membership(np.array([[1e-40, 1.0], [1e-20, 0.5]]))
    assert table.dtype == np.float32
    assert table.tolist() == [[0.0, np.float32(1e-20)], [1.0, 0.5]]
