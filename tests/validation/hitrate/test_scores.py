"""Hit rates of methods whose lists and hits are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult
from tests.support.simulated_logs import DEFAULTS

N, K, N_SHOWN, N_POSTS = 400, 5, 12, 40
VALIDATE = replace(DEFAULTS.validate, bootstrap=1000)


def _scores(hit_shown: np.ndarray, spread: float = 0.0) -> Scores:
    """Two methods' scores, whose hits among the posts shown are given, shape (2, N).

    The quality of every listed post is known up to a standard deviation of `spread`.
    """
    rng = np.random.default_rng(2)
    post = np.argsort(rng.random((N, N_POSTS)), axis=1)[:, :N_SHOWN]
    p = rng.random((N, N_SHOWN)) / 2
    top = np.argsort(rng.random((2, N, N_POSTS)), axis=2)[:, :, :K].astype(np.int32)
    hits = np.repeat(hit_shown[:, :, None], K, axis=2)
    replayed = ReplayResult(
        np.arange(N) // 2, np.arange(N), top, np.full(top.shape, 0.2), top >= 0,
        np.zeros(top.shape), np.full(top.shape, spread), top,
        hits, np.zeros_like(hits), np.full((2, N * N_SHOWN), -1, np.int32),
        post.ravel(), np.ones(post.size), np.zeros(post.size), p.ravel(),
        (rng.random((N, N_SHOWN)) < p).ravel(), np.repeat(np.arange(N), N_SHOWN),
    )  # fmt: skip
    return score(replayed, (OURS, "other"), K, VALIDATE)


def _judged(hit: float, other: float, n_judged: int) -> np.ndarray:
    is_judged = np.arange(N) < n_judged
    return np.stack([np.where(is_judged, hits, np.nan) for hits in (hit, other)])


@pytest.mark.parametrize("n_judged", [1, 24, 49])
def test_a_lead_of_few_judged_requests_has_no_interval(n_judged: int) -> None:
    lead = _scores(_judged(1.0, 0.0, n_judged)).lead(OURS, "other", "shown")
    assert (lead.value, lead.n_requests, lead.has_interval) == (1, n_judged, False)


def test_a_lead_that_is_the_same_in_every_judged_request_has_a_width() -> None:
    lead = _scores(_judged(1.0, 1.0, 100)).lead(OURS, "other", "shown")
    assert lead.value == 0
    assert lead.high == -lead.low == pytest.approx(1.96**2 / (50 + 1.96**2))


def test_a_rate_of_few_judged_requests_that_all_hit_does_not_reach_down_to_none() -> None:
    shown = _scores(_judged(1.0, 0.0, 4)).methods[OURS].shown
    assert (shown.value, shown.high) == (1, 1)
    assert shown.low == pytest.approx(2 / (2 + 1.96**2))


def test_what_judges_nothing_has_no_interval() -> None:
    found = _scores(_judged(1.0, 0.0, N))
    assert found.lead(OURS, "other").has_interval
    bare = found.without_intervals(["expected"])
    assert not bare.methods[OURS].expected.has_interval
    assert not bare.lead(OURS, "other").has_interval
    assert bare.lead(OURS, "other", "shown") == found.lead(OURS, "other", "shown")


def test_what_is_not_known_of_listed_posts_widens_every_interval_of_expected() -> None:
    hits = _judged(1.0, 0.0, N)
    by_spread = [_scores(hits, spread) for spread in (0.0, 0.5, 1.5)]
    for method in (OURS, "other"):
        of_each = [scores.methods[method] for scores in by_spread]
        narrow, wide, wider = (h.expected.high - h.expected.low for h in of_each)
        assert narrow < 0.98 * wide < 0.9 * wider
        assert 0.02 < narrow < wider < 0.5
        assert of_each[0].shown == of_each[2].shown
