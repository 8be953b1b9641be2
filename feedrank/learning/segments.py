"""Segments: the profile column by which users differ most in the posts that they like."""

from __future__ import annotations

import numpy as np

from feedrank.state.counts.tally import Tally

# Standard deviations, as the three- and two-sigma rules; 2.5 to 4 choose the same column.
CERTAIN, LIKELY = 3.0, 2.0
LEAST_LIKES, HIGHEST_RATE = 1e-9, 0.99  # keep denominators above 0


def choose_segment_column(by_column: list[Tally]) -> int:
    """The profile column with most interaction with posts in likes; -1 if none has any.

    For each column, Pearson's chi-square of likes by (code, post) against code rate x post ratio,
    less its expectation under no interaction. Of the columns that are `CERTAIN` the one with the
    largest excess is taken, else the most significant one that is `LIKELY`. The variance of a
    cell, 2 + 1 / expected for Poisson counts, is large where hardly any like is expected, so that
    a column of many codes is not taken for its scatter.

    Args:
        by_column: counts of each column, shape (n_codes, n_posts).
    """
    found = [_interaction(counts) for counts in by_column]
    if not found:
        return -1
    excess, z = np.array(found).T
    if z.max() >= CERTAIN:
        return int(np.argmax(np.where(z >= CERTAIN, excess, -np.inf)))
    return int(np.argmax(z)) if z.max() >= LIKELY else -1


def _interaction(counts: Tally) -> tuple[float, float]:
    """The statistic less its expectation, and the same in standard deviations."""
    shown, liked = counts.shown, counts.liked
    by_code = liked.sum(1) / np.maximum(shown.sum(1), 1)
    expected = by_code[:, None] * shown
    # Each post keeps its own total: only the distribution over the codes is tested.
    expected = expected * (liked.sum(0) / np.maximum(expected.sum(0), LEAST_LIKES))
    post_rate = liked.sum(0) / np.maximum(shown.sum(0), 1)
    variance = expected * (1 - np.minimum(post_rate, HIGHEST_RATE))
    cells = expected > 0
    statistic = np.sum((liked - expected)[cells] ** 2 / variance[cells])
    n_free = cells.sum() - np.sum(cells.any(1)) - np.sum(cells.any(0)) + 1
    scatter = np.sqrt(np.sum(2 + 1 / expected[cells]))  # of Poisson counts
    excess = float(statistic - n_free)
    return excess, excess / max(float(scatter), 1.0)
