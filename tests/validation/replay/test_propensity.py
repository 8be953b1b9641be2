from __future__ import annotations

import numpy as np
import pytest

from feedrank.validation.replay.propensity import Propensity

SHAPE = (5, 250)  # strata and posts


def _estimate(shown: np.ndarray, since: int) -> Propensity:
    """From impressions by step, stratum and post."""
    return Propensity.estimate(shown[:since].sum(0), shown[since:].sum(0))


def _impressions(share: np.ndarray, n: int, steps: int = 10) -> np.ndarray:
    """Impressions drawn by shares of each stratum, shape (steps, n_strata, n_posts)."""
    rng = np.random.default_rng(1)
    return np.array([[rng.multinomial(n, s) for s in share] for _ in range(steps)])


def _shares(spread: float, seed: int) -> np.ndarray:
    weights = np.exp(spread * np.random.default_rng(seed).normal(size=SHAPE))
    return weights / weights.sum(1, keepdims=True)


def test_shares_are_found_better_than_by_counting_alone() -> None:
    true = _shares(0.2, 0)
    shown = _impressions(true, n=500)
    found = _estimate(shown, since=7).share
    counted = shown[7:].sum(0) / (3 * 500)
    assert found.sum(1) == pytest.approx(1)
    assert np.abs(found - true).mean() < 0.5 * np.abs(counted - true).mean()


def test_a_period_unlike_the_previous_one_is_estimated_from_its_own_counts() -> None:
    previous, now = _shares(1.0, 0), _shares(1.0, 9)
    shown = np.concatenate([_impressions(previous, 5_000, 5), _impressions(now, 5_000, 5)])
    found = _estimate(shown, since=5).share
    assert np.abs(found - now).sum() < 0.2 * np.abs(found - previous).sum()


def test_a_post_that_was_never_shown_has_no_share() -> None:
    true = _shares(0.2, 0)
    true[:, :7] = 0
    shown = _impressions(true / true.sum(1, keepdims=True), n=500)
    found = _estimate(shown, since=5)
    assert (found.share[:, :7] == 0).all()
    stratum, post = np.indices(true.shape).reshape(2, -1)
    relative = found.relative(stratum, post).reshape(true.shape)
    assert relative[:, 7:].mean(1) == pytest.approx(1)


def test_few_impressions_are_shrunk_to_an_average_post() -> None:
    alike = np.ones(SHAPE) / SHAPE[1]
    found = _estimate(_impressions(alike, n=10), since=5).share
    known = found.max(0) > 0
    assert found[:, known] * known.sum() == pytest.approx(1, abs=0.1)
