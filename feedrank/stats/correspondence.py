"""How posts differ between segments of users, beyond chance: correspondence analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TINY = 1e-9
TRACY_WIDOM_99 = 2.02
LEAST_SHARE, LEAST_SPREAD = 0.01, 0.05


@dataclass(frozen=True)
class Contrasts:
    """A few directions in which posts differ between segments, strongest first.

    Attributes:
        score: of each post, with a noise of variance 1 at an average number of events,
            shape (n_posts, d).
        spread: standard deviation of the scores without noise, shape (d,).
        trust: share of a score's variance that is no noise, shape (n_posts, d).
    """

    score: np.ndarray
    spread: np.ndarray
    trust: np.ndarray


def contrasts(counted: np.ndarray, expected: np.ndarray, at_least: int = 0) -> Contrasts:
    """The singular vectors of Pearson residuals that are larger than those of pure chance.

    Of a table of independent Poisson counts, the largest one stays below the edge in 99 of 100
    (the Tracy-Widom law of squared singular values, in Johnstone's scaling).

    Args:
        counted: events, shape (n_segments, n_posts).
        expected: the same if all posts were alike to a segment.
        at_least: directions that are kept in any case.
    """
    n_segments, n_posts = counted.shape
    residual = np.where(expected > 0, counted - expected, 0) / np.sqrt(np.maximum(expected, TINY))
    _, size, by_post = np.linalg.svd(residual, full_matrices=False)
    beyond = int(np.sum(size**2 > _edge(n_segments, n_posts)))
    d = min(max(beyond, at_least), len(size))
    events = expected.sum(0)
    share = np.maximum(events / max(events.mean(), TINY), LEAST_SHARE)[:, None]
    variance = np.maximum(size[:d] ** 2 / n_posts - 1, LEAST_SPREAD)
    score = by_post[:d].T * size[:d] / np.sqrt(share)
    return Contrasts(score, np.sqrt(variance), variance / (variance + 1 / share))


def _edge(n_rows: int, n_columns: int) -> float:
    """What the largest squared singular value of pure noise exceeds once in a hundred tables."""
    a, b = np.sqrt(max(n_columns - 1, 1)), np.sqrt(n_rows)
    return float((a + b) ** 2 + TRACY_WIDOM_99 * (a + b) * (1 / a + 1 / b) ** (1 / 3))
