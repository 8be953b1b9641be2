"""Segments: the profile column by which users differ most in which posts they like."""

from __future__ import annotations

import numpy as np

from feedrank.state.counts.tally import Tally

CERTAIN, LIKELY = 3.0, 2.0  # standard deviations


def choose_segment_column(by_column: list[Tally]) -> int:
    """The profile column by which posts differ most in who likes them; -1 if none does.

    For each column, Pearson's statistic of likes by (code, post) against code rate x post ratio,
    less its expectation under no interaction: what is left is signal, and grows with both its
    strength and its reach. The column with most of it is taken among those that are certain; if
    none is, the one that is least likely to be chance. A cell that expects hardly any like
    scatters widely, so a column of many codes does not pass for a difference.

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
    """The statistic beyond its expectation, and that in standard deviations."""
    shown, liked = counts.shown, counts.liked
    by_code = liked.sum(1) / np.maximum(shown.sum(1), 1)
    expected = by_code[:, None] * shown
    # Each post keeps its own total: only how it is spread over the codes is looked at.
    expected = expected * (liked.sum(0) / np.maximum(expected.sum(0), 1e-9))
    post_rate = liked.sum(0) / np.maximum(shown.sum(0), 1)
    variance = expected * (1 - np.minimum(post_rate, 0.99))
    cells = expected > 0
    statistic = np.sum((liked - expected)[cells] ** 2 / variance[cells])
    n_free = cells.sum() - np.sum(cells.any(1)) - np.sum(cells.any(0)) + 1
    scatter = np.sqrt(np.sum(2 + 1 / expected[cells]))  # of Poisson counts
    excess = float(statistic - n_free)
    return excess, excess / max(float(scatter), 1.0)
