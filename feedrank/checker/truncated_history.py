"""Truncated history: a smaller bundle without each user's oldest impressions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.state.feature_store import FeatureStore
from feedrank.state.history import History


def truncated(store: FeatureStore, days: int | None) -> FeatureStore:
    """The store with the last days of each user's own history; None: with all of it.

    Counts that all users share stay whole.
    """
    if days is None:
        return store
    seconds = (store.meta.n_days - days) * SECONDS_A_DAY
    step = max(0, seconds // store.fitted.step_seconds)
    return replace(store, history=since(store.history, step))


def since(history: History, step: int) -> History:
    """Impressions of a step and later ones."""
    kept = np.asarray(history.step) >= step
    n_kept = np.concatenate([[0], np.cumsum(kept)])
    liked = np.unpackbits(np.asarray(history.liked))[: len(kept)]
    return History(
        n_kept[np.asarray(history.offsets)],
        np.asarray(history.post)[kept],
        np.asarray(history.step)[kept],
        np.packbits(liked[kept]),
    )
