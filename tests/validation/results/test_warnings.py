from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.validation.feed.randomness import Finding
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.policies import OLD_FEED, Policies
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.results.trust import Trust
from feedrank.validation.results.warnings import trust_of
from tests.support.simulated_logs import DEFAULTS

N, K, N_SHOWN, N_POSTS = 400, 5, 30, 60
NAMES = (OURS,)
VALIDATE = replace(DEFAULTS.validate, bootstrap=50)
ALL_OLD = Policies({OLD_FEED: N * N_SHOWN}, 0)
FAIR = Finding("by_day", 0.1, 1.0, 0.25, "words")


def _replayed() -> ReplayResult:
    rng = np.random.default_rng(0)
    post = np.argsort(rng.random((N, N_POSTS)), axis=1)[:, :N_SHOWN]
    p = 0.05 + 0.3 * post / N_POSTS
    top = np.tile(np.arange(N_POSTS)[: -K - 1 : -1], (N, 1)).astype(np.int32)
    hits = np.zeros((1, N, K))
    return ReplayResult(
        np.arange(N), np.arange(N), top[None], (0.05 + 0.3 * top / N_POSTS)[None],
        top[None] >= 0, np.zeros((1, N, K)), np.zeros((1, N, K)), top[None],
        hits, hits, (N_POSTS - 1 - post).reshape(1, -1),
        post.ravel(), np.ones(post.size), np.zeros(post.size), p.ravel(),
        rng.random(post.size) < p.ravel(), np.repeat(np.arange(N), N_SHOWN),
    )  # fmt: skip


def _trust(
    replayed: ReplayResult, *findings: Finding, asked: int = N, policies: Policies = ALL_OLD
) -> Trust:
    scores = score(replayed, NAMES, K, VALIDATE)
    found = [[FAIR], list(findings)]
    return trust_of([replayed], scores, NAMES, found, asked, policies, N_POSTS)


@pytest.fixture(scope="module")
def replayed() -> ReplayResult:
    return _replayed()


def test_there_is_nothing_to_warn_of_where_all_is_well(replayed: ReplayResult) -> None:
    trust = _trust(replayed, FAIR)
    assert trust.warnings == []
    assert trust.support == 1
    assert trust.feed == "Tests of the feed: 2 of 2 passed."
    assert trust.headline == "expected"


def test_a_feed_that_is_not_random_is_said_to_be_so_once(replayed: ReplayResult) -> None:
    trust = _trust(
        replayed, *(Finding("past_likes", 0.4, z, 0.05, "as they liked") for z in (9, 7))
    )
    assert len(trust.warnings) == 1
    assert "not random: as they liked (past_likes: 0.40, z 9" in trust.warnings[0]
    assert trust.headline == "shown"


def test_few_matches_are_warned_of(replayed: ReplayResult) -> None:
    few = replace(
        replayed, shown_rank=np.where(replayed.shown_request < 9, replayed.shown_rank, -1)
    )
    assert any("impressions match our lists" in w for w in _trust(few).warnings)


@pytest.mark.parametrize(("asked", "advice"), [(N, "Replay more"), (N + 1, "All requests were")])
def test_more_requests_are_asked_for_only_where_some_are_left(
    replayed: ReplayResult, asked: int, advice: str
) -> None:
    few = replace(
        replayed, shown_rank=np.where(replayed.shown_request < 9, replayed.shown_rank, -1)
    )
    assert any(advice in w for w in _trust(few, asked=asked).warnings)


def test_few_users_are_warned_of(replayed: ReplayResult) -> None:
    for n_users, is_warned in ((1, True), (29, True), (30, False)):
        some = replace(replayed, user=np.arange(N) % n_users)
        assert any(f"of {n_users} users" in w for w in _trust(some).warnings) == is_warned


@pytest.mark.parametrize("n_judged", [0, 24, 49])
def test_few_requests_that_shown_judges_are_warned_of(
    replayed: ReplayResult, n_judged: int
) -> None:
    hits = np.where(np.arange(N)[:, None] < n_judged, replayed.hit_shown, np.nan)
    some = replace(replayed, hit_shown=hits)
    trust = _trust(some)
    assert [f"By shown@5 {n_judged} of 400 requests are judged, of {n_judged} users" in w
            for w in trust.warnings] == [True]  # fmt: skip
    assert trust.severe == []
    unfair = _trust(some, Finding("past_likes", 0.4, 9, 0.05, "as they liked"))
    assert unfair.severe == trust.warnings, "shown is then all there is to judge by"
    assert unfair.void == ("expected",)


def test_a_severe_warning_leaves_nothing_to_decide_by(replayed: ReplayResult) -> None:
    unliked = replace(replayed, shown_liked=np.zeros_like(replayed.shown_liked))
    assert _trust(unliked).unjudged == ("expected", "shown", "catalogue")
    few = replace(replayed, user=np.arange(N) % 29)
    assert _trust(few).unjudged == ("expected", "shown", "catalogue")
    unseen = replace(replayed, top_supported=np.arange(K) >= (replayed.top < 0) + 3)
    assert _trust(unseen).void == ("expected",)
    assert _trust(replayed).void == ()


def test_lists_of_posts_that_were_not_shown_are_warned_of(replayed: ReplayResult) -> None:
    strange = replace(replayed, top_supported=np.arange(K) >= (replayed.top < 0) + 2)
    trust = _trust(strange)
    assert trust.support == pytest.approx(3 / 5)
    assert any("40% of the places" in w for w in trust.warnings)
    assert trust.severe == []


def test_lists_that_are_mostly_of_posts_not_shown_are_judged_by_nothing(
    replayed: ReplayResult,
) -> None:
    trust = _trust(replace(replayed, top_supported=np.arange(K) >= (replayed.top < 0) + 3))
    assert ["no hit rate judges the lists" in w for w in trust.severe] == [True]
    assert trust.severe[0] in trust.warnings


def test_a_ranker_that_is_far_from_calibrated_is_warned_of(replayed: ReplayResult) -> None:
    noise = np.random.default_rng(1).random(len(replayed.shown_liked))
    off = replace(replayed, shown_probability=0.02 + 0.5 * noise)
    assert any("calibration slope" in w for w in _trust(off).warnings)


def test_a_top_that_is_unlike_the_rest_is_warned_of(replayed: ReplayResult) -> None:
    p = np.full(len(replayed.shown_liked), 0.1)
    liked = np.where(replayed.shown_rank[0] < 3, True, replayed.shown_liked)
    odd = replace(replayed, shown_probability=p, shown_liked=liked)
    assert any("does not hold at the top" in w for w in _trust(odd).warnings)


@pytest.mark.parametrize(("is_liked", "kind"), [(False, "liked"), (True, "not liked")])
def test_labels_of_one_kind_are_warned_of_in_their_fold(
    replayed: ReplayResult, is_liked: bool, kind: str
) -> None:
    for n_others, is_warned in ((0, True), (29, True), (30, False)):
        liked = np.full(len(replayed.shown_liked), is_liked)
        liked[:n_others] = not is_liked
        empty = replace(replayed, shown_liked=liked)
        scores = score(ReplayResult.joined([replayed, empty]), NAMES, K, VALIDATE)
        trust = trust_of([replayed, empty], scores, NAMES, [[FAIR], [FAIR]], N, ALL_OLD, N_POSTS)
        said = [w for w in trust.warnings if f"fold 1, only {n_others} were {kind}:" in w]
        assert len(said) == is_warned


def test_baselines_with_little_support_are_named_in_one_sentence(replayed: ReplayResult) -> None:
    names = (OURS, "most_liked", "most_liked_by_segment")
    both = {
        name: np.repeat(getattr(replayed, name), 3, axis=0)
        for name in (
            "top",
            "of_shown",
            "hit_shown",
            "hit_catalogue",
            "top_probability",
            "top_supported",
            "top_presence",
            "top_spread",
            "shown_rank",
        )
    }
    both["shown_rank"][1] = -1
    both["top_supported"][2, :, :3] = False
    three = replace(replayed, **both)
    scores = score(three, names, K, VALIDATE)
    warnings = trust_of([three], scores, names, [[FAIR]], N, ALL_OLD, N_POSTS).warnings
    assert len(warnings) == 1
    assert "'most_liked' (effective sample of 0)" in warnings[0]
    assert "'most_liked_by_segment' (60% of its places not shown)" in warnings[0]


def test_lists_without_exploration_are_warned_of_with_the_days_that_exploration_would_take(
    replayed: ReplayResult,
) -> None:
    half = {OLD_FEED: N * N_SHOWN // 2, "a1b2 explore 0": N * N_SHOWN // 2}
    (warning,) = _trust(replayed, FAIR, policies=Policies(half, 0)).warnings
    # Half of 400 requests of 30 impressions, on one day; an even draw is in a list of 5, or near
    # it, by 1 / 6.
    assert "'export.explore: 0.05' about 300 impressions a day" in warning
    assert warning.endswith("and 2 days of them would tell.")
    explored = _trust(replayed, FAIR, policies=Policies(half, 30))
    assert explored.warnings == []
    assert explored.feed.startswith("Of the posts shown, 50% were chosen by an artifact")
    assert explored.feed.endswith("Tests of the feed: 2 of 2 passed.")


def test_a_feed_all_of_whose_propensities_are_logged_is_asked_no_tests(
    replayed: ReplayResult,
) -> None:
    scores = score(replayed, NAMES, K, VALIDATE)
    ours = Policies({"a1b2 explore 0.05": N * N_SHOWN}, 900)
    trust = trust_of([replayed], scores, NAMES, [[]], N, ours, N_POSTS)
    assert (trust.headline, trust.warnings) == ("expected", [])
    assert "100%" in trust.feed
    assert "Tests" not in trust.feed
