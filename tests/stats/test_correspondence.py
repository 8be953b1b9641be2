from __future__ import annotations

import numpy as np
import pytest

from feedrank.stats.correspondence import contrasts

N_SEGMENTS, N_POSTS = 6, 400


def _counted(strength: float, events: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Counts, what they would be if posts were alike, and each post's place on a planted line."""
    rng = np.random.default_rng(seed)
    place = rng.standard_normal(N_POSTS)
    segment = np.linspace(-1, 1, N_SEGMENTS)[:, None]
    alike = events * rng.lognormal(0, 0.3, N_POSTS) * np.ones((N_SEGMENTS, 1))
    return rng.poisson(alike * np.exp(strength * segment * place)), alike, place


@pytest.mark.parametrize("events", [3.0, 50.0])
def test_chance_alone_hardly_ever_has_a_contrast(events: float) -> None:
    tables = [_counted(0.0, events, seed)[:2] for seed in range(100)]
    assert sum(contrasts(*table).score.shape[1] for table in tables) <= 4
    assert contrasts(*tables[0], at_least=1).score.shape == (N_POSTS, 1)


def test_a_difference_is_found_and_nothing_besides() -> None:
    counted, alike, place = _counted(0.2, 30.0)
    found = contrasts(counted, alike)
    assert found.score.shape == (N_POSTS, 1)
    assert abs(np.corrcoef(found.score[:, 0], place)[0, 1]) > 0.8


def test_trust_is_the_share_of_a_score_that_is_no_noise() -> None:
    counted, alike, place = _counted(0.2, 30.0)
    found = contrasts(counted, alike)
    fitted = np.polyfit(place, found.score[:, 0], 1)[0] * place  # the score without its noise
    assert found.spread[0] == pytest.approx(fitted.std(), rel=0.15)
    explained = fitted.var() / found.score[:, 0].var()
    assert found.trust.mean() == pytest.approx(explained, abs=0.1)


def test_a_post_of_few_events_is_trusted_less() -> None:
    counted, alike, _ = _counted(0.3, 30.0)
    counted[:, 0] = [1, 0, 0, 0, 0, 0]
    alike[:, 0] = 0.2
    trust = contrasts(counted, alike).trust[:, 0]
    assert trust[0] < 0.3 * np.median(trust)


def test_cells_that_nothing_is_expected_of_say_nothing() -> None:
    counted, alike, _ = _counted(0.3, 30.0)
    alike[0, :50] = counted[0, :50] = 0
    found = contrasts(counted, alike, at_least=1)
    assert np.isfinite(found.score).all()
    assert np.isfinite(found.trust).all()
