"""Correspondence analysis: how posts differ between segments of users, beyond chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_EVENTS = 1e-9  # instead of 0 in a denominator
TRACY_WIDOM_99 = 2.02  # 99th percentile (Johnstone 2001, table 1)
# Keep divisors above 0: a post's events over the average, and a squared spread. Other values change
# no more than another seed: docs/ranking.md, "Constants".
LEAST_SHARE, LEAST_SPREAD = 0.01, 0.05


@dataclass(frozen=True)
class Contrasts:
    """Principal coordinates of posts, strongest first.

    Attributes:
        score: of each post, with sampling variance 1 at an average number of events,
            shape (n_posts, d).
        spread: standard deviation of the scores without sampling noise, shape (d,).
        trust: reliability, the share of a score's variance that is no noise, shape (n_posts, d).
    """

    score: np.ndarray
    spread: np.ndarray
    trust: np.ndarray


def contrasts(counted: np.ndarray, expected: np.ndarray, at_least: int = 0) -> Contrasts:
    """Singular vectors of Pearson residuals (Greenacre 1984) that exceed those of pure chance.

    The largest squared singular value of independent Poisson counts stays below the edge in 99 of
    100 tables: the Tracy-Widom law in the scaling of Johnstone (2001).

    Args:
        counted: events, shape (n_segments, n_posts).
        expected: events if all posts were alike to a segment, same shape.
        at_least: coordinates that are kept in any case.
    """
    n_segments, n_posts = counted.shape
    deviation = np.where(expected > 0, counted - expected, 0)
    residual = deviation / np.sqrt(np.maximum(expected, LEAST_EVENTS))
    _, size, by_post = np.linalg.svd(residual, full_matrices=False)
    beyond = int(np.sum(size**2 > _edge(n_segments, n_posts)))
    d = min(max(beyond, at_least), len(size))
    events = expected.sum(0)
    share = np.maximum(events / max(events.mean(), LEAST_EVENTS), LEAST_SHARE)[:, None]
    variance = np.maximum(size[:d] ** 2 / n_posts - 1, LEAST_SPREAD)
    score = by_post[:d].T * size[:d] / np.sqrt(share)
    return Contrasts(score, np.sqrt(variance), variance / (variance + 1 / share))


def _edge(n_rows: int, n_columns: int) -> float:
    """The 99th percentile of the largest squared singular value of pure noise."""
    a, b = np.sqrt(max(n_columns - 1, 1)), np.sqrt(n_rows)
    return float((a + b) ** 2 + TRACY_WIDOM_99 * (a + b) * (1 / a + 1 / b) ** (1 / 3))
