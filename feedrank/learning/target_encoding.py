"""What the warm-up says of profile columns: which one splits users, and each one's encoding."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from category_encoders import MEstimateEncoder
from category_encoders.utils import BaseEncoder

from feedrank.log.metadata import HOURS_A_DAY, hour_of_day
from feedrank.state.profiles import Profiles

PRIOR_IMPRESSIONS = 20.0  # weight of the overall rate in a static encoding


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
    return (*tables, _encoded(hour_of_day(at), HOURS_A_DAY, liked))


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
