"""What the warm-up says of profile columns: which one splits users, and each one's encoding."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from category_encoders import MEstimateEncoder
from category_encoders.utils import BaseEncoder

from feedrank.counts import Tally
from feedrank.profiles import Profiles

CERTAIN, LIKELY = 3.0, 2.0  # standard deviations
PRIOR_IMPRESSIONS = 20.0  # weight of the overall rate in a static encoding


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


def static_encodings(
    profiles: Profiles, user: np.ndarray, at: np.ndarray, liked: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Log-odds of liking by code of each profile column, then by hour, from warm-up rows.

    Args:
        profiles: of all users.
        user: of each warm-up row, shape (n,).
        at: seconds since the log's origin, shape (n,).
        liked: of each warm-up row, shape (n,).
    """
    tables = [
        _encoded(profiles.codes[user, i], column.n_codes, liked)
        for i, column in enumerate(profiles.columns)
    ]
    return (*tables, _encoded(at % 86_400 // 3600, 24, liked))


def _encoded(code: np.ndarray, n_codes: int, liked: np.ndarray) -> np.ndarray:
    """Log-odds against the average, by code; 0 for one that no row has."""
    if not len(code):
        return np.zeros(n_codes)
    encoder = MEstimateEncoder(cols=["code"], m=PRIOR_IMPRESSIONS)
    seen = pd.DataFrame({"code": code.astype(str)})
    every = pd.DataFrame({"code": [str(c) for c in range(n_codes)]})
    encoded = fit_and_encode(encoder, seen, liked, every)["code"].to_numpy(float)
    rate = np.clip(encoded, 1e-4, 1 - 1e-4)
    mean = np.clip(liked.mean(), 1e-4, 1 - 1e-4)
    return np.log(rate / (1 - rate)) - np.log(mean / (1 - mean))


def fit_and_encode(
    encoder: BaseEncoder, seen: pd.DataFrame, liked: np.ndarray, every: pd.DataFrame
) -> pd.DataFrame:
    """Fit an encoder on seen rows and encode others, without the warning it gives under pandas 3.

    category_encoders 2.11 sets an option that pandas 3 has made the only behaviour.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'future.no_silent_downcasting' is deprecated")
        return encoder.fit(seen, liked.astype(float)).transform(every)
