from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally
from feedrank.validation.replay.propensity import Propensity
from tests.support.simulated_logs import Learned, simulated


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _counts(shown: np.ndarray) -> StepCounts:
    """Impressions by step and key, shape (n_steps, n_keys)."""

    def steps() -> Iterator[Tally]:
        for row in shown:
            yield Tally(row, np.zeros_like(row))

    return StepCounts.of(steps(), shown.shape[1])


def _estimate(learned: Learned, shown: np.ndarray, since: int) -> Propensity:
    return Propensity.estimate(_counts(shown), learned.store.fitted, since, len(shown))


def _impressions(learned: Learned, share: np.ndarray, n: int, steps: int = 10) -> np.ndarray:
    """Impressions drawn by shares of each segment, shape (steps, n_segments * n_posts)."""
    rng = np.random.default_rng(1)
    return np.array([rng.multinomial(n, s) for _ in range(steps) for s in share]).reshape(steps, -1)


def _shares(learned: Learned, spread: float, seed: int) -> np.ndarray:
    e = learned.store.fitted
    weights = np.exp(spread * np.random.default_rng(seed).normal(size=(e.n_segments, e.n_posts)))
    return weights / weights.sum(1, keepdims=True)


def test_shares_are_found_better_than_by_counting_alone(learned: Learned) -> None:
    true = _shares(learned, 0.2, 0)
    shown = _impressions(learned, true, n=500)
    found = _estimate(learned, shown, since=7).share
    counted = shown[7:].sum(0).reshape(true.shape) / (3 * 500)
    assert found.sum(1) == pytest.approx(1)
    assert np.abs(found - true).mean() < 0.5 * np.abs(counted - true).mean()


def test_a_period_unlike_the_previous_one_is_estimated_from_its_own_counts(
    learned: Learned,
) -> None:
    previous, now = _shares(learned, 1.0, 0), _shares(learned, 1.0, 9)
    shown = np.concatenate(
        [_impressions(learned, previous, 5_000, 5), _impressions(learned, now, 5_000, 5)]
    )
    found = _estimate(learned, shown, since=5).share
    assert np.abs(found - now).sum() < 0.2 * np.abs(found - previous).sum()


def test_a_post_that_was_never_shown_has_no_share(learned: Learned) -> None:
    true = _shares(learned, 0.2, 0)
    true[:, :7] = 0
    shown = _impressions(learned, true / true.sum(1, keepdims=True), n=500)
    found = _estimate(learned, shown, since=5)
    assert (found.share[:, :7] == 0).all()
    segment, post = np.indices(true.shape).reshape(2, -1)
    relative = found.relative(segment, post).reshape(true.shape)
    assert relative[:, 7:].mean(1) == pytest.approx(1)


def test_few_impressions_are_shrunk_to_an_average_post(learned: Learned) -> None:
    shape = learned.store.fitted
    alike = np.ones((shape.n_segments, shape.n_posts)) / shape.n_posts
    found = _estimate(learned, _impressions(learned, alike, n=10), since=5).share
    known = found.max(0) > 0
    assert found[:, known] * known.sum() == pytest.approx(1, abs=0.1)
