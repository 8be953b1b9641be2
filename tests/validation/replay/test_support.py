from __future__ import annotations

import numpy as np

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally
from feedrank.validation.replay.support import Support

N_POSTS, N_STEPS = 10, 20


def _counts(shown: np.ndarray) -> StepCounts:
    """Counts of two segments that are shown the same, of impressions (steps, posts)."""
    both = np.concatenate([shown, shown], axis=1)
    return StepCounts.of((Tally(step, np.zeros_like(step)).cells() for step in both), 2 * N_POSTS)


def _shown(posts: list[list[int]], times: int) -> np.ndarray:
    shown = np.zeros((N_STEPS, N_POSTS), np.int64)
    for step, some in enumerate(posts):
        shown[step, some] = times
    return shown


def _posts(support: Support, step: int) -> list[int]:
    return np.flatnonzero(support.near(step)).tolist()


def test_a_feed_that_shows_its_posts_often_supports_those_of_the_step_alone() -> None:
    counts = _counts(_shown([[step % 10] for step in range(N_STEPS)], times=3))
    support = Support.of(counts, N_POSTS, 10, N_STEPS)
    assert support.reach == 0
    assert [_posts(support, step) for step in (0, 13, 19)] == [[0], [3], [9]]


def test_a_thin_feed_supports_posts_of_more_steps() -> None:
    counts = _counts(_shown([[1, 2]] * 10 + [[3, 4]] * 10, times=1))  # of each segment
    support = Support.of(counts, N_POSTS, 4, N_STEPS)
    assert support.reach == 1
    assert _posts(support, 3) == [1, 2]
    assert _posts(support, 10) == [1, 2, 3, 4]
    assert _posts(support, N_STEPS) == [3, 4]


def test_impressions_near_a_step_are_those_of_all_segments() -> None:
    counts = _counts(_shown([[1, 2]] * 10 + [[2, 4]] * 10, times=1))  # of each of two segments
    assert Support.of(counts, N_POSTS, 4, N_STEPS).near(10).tolist() == [0, 2, 6, 0, 4, *[0] * 5]


def test_posts_that_are_never_shown_again_are_searched_for_in_the_whole_period() -> None:
    counts = _counts(_shown([[step] for step in range(10)], times=1))
    assert Support.of(counts, N_POSTS, 0, 10).reach >= 4
